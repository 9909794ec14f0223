#!/usr/bin/env python3
"""A worker with an agent of the OpenAI Agents SDK. The model is that of OPENAI_MODEL, at
OPENAI_BASE_URL.

    pip install openai-agents
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/openai_agents_worker.py analyst
"""
import os

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from worker import document, main, prompt

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
set_tracing_disabled(True)  # Traces would be sent to OpenAI, whatever serves the model.

def work(task, say):
    say(f"{MODEL} is at work")
    # A client belongs to one event loop, and each run has its own.
    model = OpenAIChatCompletionsModel(MODEL, AsyncOpenAI())
    made = Runner.run_sync(Agent(name="worker", model=model), prompt(task))
    used = made.context_wrapper.usage
    usage = {"provider": "openai", "model": MODEL, "input_tokens": used.input_tokens,
             "output_tokens": used.output_tokens}
    return "complete", {"output": document(made.final_output), "usage": usage}

main(work)
