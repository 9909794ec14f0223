#!/usr/bin/env python3
"""A worker with an agent of Pydantic AI. The model is that of OPENAI_MODEL, at OPENAI_BASE_URL.

    pip install botarmy 'pydantic-ai-slim[openai]'
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/pydantic_ai_worker.py analyst
"""
import os, sys

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

from botarmy import Client, Result, Usage, Worker, json_object

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
agent = Agent(OpenAIChatModel(MODEL))

def handle(job, context):
    context.progress(f"{MODEL} is at work")
    made = agent.run_sync(job.prompt())
    usage = Usage("openai", MODEL, made.usage.input_tokens, made.usage.output_tokens)
    return Result(json_object(made.output), usage=usage)

Worker(Client(), agents=sys.argv[1:], name="pydantic_ai").run(handle)
