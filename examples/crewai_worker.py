#!/usr/bin/env python3
"""A worker with a crew of CrewAI. The model is that of OPENAI_MODEL, at OPENAI_BASE_URL.

    pip install botarmy crewai
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/crewai_worker.py analyst
"""
import os, sys

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import LLM, Agent, Crew, Task

from botarmy import Client, Result, Usage, Worker, json_object

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")

def handle(job, context):
    context.progress(f"{MODEL} is at work")
    llm = LLM(model=f"openai/{MODEL}", base_url=os.environ.get("OPENAI_BASE_URL"))
    agent = Agent(role=job.agent, goal="Make the document that is asked for.",
                  backstory="You work in a team.", llm=llm)
    task = Task(description=job.prompt(), expected_output="One JSON object.", agent=agent)
    made = Crew(agents=[agent], tasks=[task]).kickoff()
    used = made.token_usage
    usage = Usage("openai", MODEL, used.prompt_tokens, used.completion_tokens)
    return Result(json_object(made.raw), usage=usage)

Worker(Client(), agents=sys.argv[1:], name="crewai").run(handle)
