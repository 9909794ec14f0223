#!/usr/bin/env python3
"""A worker with an agent of AutoGen (AgentChat). The model is that of OPENAI_MODEL, at
OPENAI_BASE_URL.

    pip install botarmy autogen-agentchat 'autogen-ext[openai]'
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/autogen_worker.py analyst
"""
import os, sys

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

from botarmy import Client, Result, Usage, Worker, json_object

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
ABILITIES = {"vision": False, "function_calling": False, "json_output": True,
             "structured_output": False, "family": "unknown"}

async def handle(job, context):
    context.progress(f"{MODEL} is at work")
    # A client belongs to one event loop, and each task has its own.
    client = OpenAIChatCompletionClient(model=MODEL, model_info=ABILITIES)
    try:
        agent = AssistantAgent("worker", model_client=client, system_message=None)
        made = (await agent.run(task=job.prompt())).messages[-1]
    finally:
        await client.close()
    used = made.models_usage
    usage = Usage("openai", MODEL, used.prompt_tokens, used.completion_tokens)
    return Result(json_object(made.content), usage=usage)

Worker(Client(), agents=sys.argv[1:], name="autogen").run(handle)
