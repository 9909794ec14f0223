#!/usr/bin/env python3
"""A worker with a crew of CrewAI. The model is that of OPENAI_MODEL, at OPENAI_BASE_URL.

    pip install crewai
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/crewai_worker.py analyst
"""
import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import LLM, Agent, Crew, Task

from worker import document, main, prompt

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")

def work(task, say):
    say(f"{MODEL} is at work")
    llm = LLM(model=f"openai/{MODEL}", base_url=os.environ.get("OPENAI_BASE_URL"))
    agent = Agent(role=task["task"]["agent"], goal="Make the document that is asked for.",
                  backstory="You work in a team.", llm=llm)
    job = Task(description=prompt(task), expected_output="One JSON object.", agent=agent)
    made = Crew(agents=[agent], tasks=[job]).kickoff()
    usage = {"provider": "openai", "model": MODEL, "input_tokens": made.token_usage.prompt_tokens,
             "output_tokens": made.token_usage.completion_tokens}
    return "complete", {"output": document(made.raw), "usage": usage}

main(work)
