#!/usr/bin/env python3
"""A worker with an agent of the OpenAI Agents SDK. The model is that of OPENAI_MODEL, at
OPENAI_BASE_URL.

    pip install botarmy openai-agents
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/openai_agents_worker.py analyst
"""
import os, sys

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI

from botarmy import Client, Result, Usage, Worker, json_object

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
set_tracing_disabled(True)  # Traces would be sent to OpenAI, whatever serves the model.

async def handle(job, context):
    context.progress(f"{MODEL} is at work")
    # A client belongs to one event loop, and each task has its own.
    async with AsyncOpenAI() as client:
        model = OpenAIChatCompletionsModel(MODEL, client)
        made = await Runner.run(Agent(name="worker", model=model), job.prompt())
    used = made.context_wrapper.usage
    usage = Usage("openai", MODEL, used.input_tokens, used.output_tokens)
    return Result(json_object(made.final_output), usage=usage)

Worker(Client(), agents=sys.argv[1:], name="openai_agents").run(handle)
