#!/usr/bin/env python3
"""A worker with an agent of AutoGen (AgentChat). The model is that of OPENAI_MODEL, at
OPENAI_BASE_URL.

    pip install autogen-agentchat 'autogen-ext[openai]'
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/autogen_worker.py analyst
"""
import asyncio, os

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient

from worker import document, main, prompt

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
ABILITIES = {"vision": False, "function_calling": False, "json_output": True,
             "structured_output": False, "family": "unknown"}

async def answer(text):
    # A client belongs to one event loop, and each task has its own.
    client = OpenAIChatCompletionClient(model=MODEL, model_info=ABILITIES)
    try:
        made = await AssistantAgent("worker", model_client=client, system_message=None).run(task=text)
        return made.messages[-1]
    finally:
        await client.close()

def work(task, say):
    say(f"{MODEL} is at work")
    made = asyncio.run(answer(prompt(task)))
    usage = {"provider": "openai", "model": MODEL, "input_tokens": made.models_usage.prompt_tokens,
             "output_tokens": made.models_usage.completion_tokens}
    return "complete", {"output": document(made.content), "usage": usage}

main(work)
