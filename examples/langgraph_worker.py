#!/usr/bin/env python3
"""A worker with a graph of LangGraph, which asks a person with interrupt() before it writes. The model
is that of OPENAI_MODEL, at OPENAI_BASE_URL. The file of checkpoints has to be shared by all workers
of an agent type: the answer may reach another one than the one that asked.

    pip install botarmy langgraph langgraph-checkpoint-sqlite langchain-openai
    BOTARMY_KEY=... OPENAI_API_KEY=... python3 examples/langgraph_worker.py analyst
"""
import os, sqlite3, sys
from typing import TypedDict

from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from botarmy import Ask, Client, Result, Usage, Worker, json_object

MODEL = os.environ.get("OPENAI_MODEL", "gpt-5")
model = ChatOpenAI(model=MODEL)

class State(TypedDict):
    prompt: str
    asked: bool
    text: str
    usage: dict

def ask(state):
    said = "" if state["asked"] else interrupt("Is there anything that the documents do not say?")
    return {"prompt": f"{state['prompt']}\n\n# A person said\n\n{said}" if said else state["prompt"]}

def write(state):
    made = model.invoke(state["prompt"])
    return {"text": made.content, "usage": made.usage_metadata}

graph = StateGraph(State).add_node(ask).add_node(write)
graph = graph.add_edge(START, "ask").add_edge("ask", "write").add_edge("write", END)
checkpoints = os.environ.get("CHECKPOINTS", "langgraph.sqlite")
graph = graph.compile(SqliteSaver(sqlite3.connect(checkpoints, check_same_thread=False)))

def handle(job, context):
    context.progress(f"{MODEL} is at work")
    thread = lambda name: {"configurable": {"thread_id": name}}
    fresh = f"{job.id}-{job.attempt}"
    if job.resume and graph.get_state(thread(job.resume.session)).next:
        said = Command(resume=job.answer.text or "No.")  # An approval has no text.
        state = graph.invoke(said, thread(job.resume.session))
    else:
        state = graph.invoke({"prompt": job.prompt(), "asked": bool(job.resume)}, thread(fresh))
    if "__interrupt__" in state:
        return Ask(state["__interrupt__"][0].value, session=fresh)
    used = state["usage"]
    usage = Usage("openai", MODEL, used["input_tokens"], used["output_tokens"])
    return Result(json_object(state["text"]), usage=usage)

Worker(Client(), agents=sys.argv[1:], name="langgraph").run(handle)
