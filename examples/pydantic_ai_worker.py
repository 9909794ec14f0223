#!/usr/bin/env python3
"""A worker with an agent of Pydantic AI. The model is that of OPENAI_MODEL, at OPENAI_BASE_URL.

    pip install 'pydantic-ai-slim[openai]'
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/pydantic_ai_worker.py analyst
"""
import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

from worker import document, main, prompt

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
agent = Agent(OpenAIChatModel(MODEL))

def work(task, say):
    say(f"{MODEL} is at work")
    made = agent.run_sync(prompt(task))
    usage = {"provider": "openai", "model": MODEL, "input_tokens": made.usage.input_tokens,
             "output_tokens": made.usage.output_tokens}
    return "complete", {"output": document(made.output), "usage": usage}

main(work)
