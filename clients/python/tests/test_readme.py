"""The examples of the README are run word for word."""

import os
import re
import signal
import subprocess
import sys

from botarmy import Client
from botarmy.rest.api.hitl import list_project_requests, respond_to_request
from botarmy.rest.models import HitlAction, RespondBody
from conftest import ROOT, Server, new_task, when

README = (ROOT / "clients/python/README.md").read_text()


def example(name: str) -> str:
    (text,) = re.findall(rf"```python {name}\n(.*?)```", README, re.DOTALL)
    return str(text)


def start(script: str, server: Server, key: dict[str, str]) -> "subprocess.Popen[str]":
    path = {"PYTHONPATH": os.pathsep.join(sys.path), "BOTARMY_SERVER": server.url}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(
        command, env={**os.environ, **path, **key}, stdout=subprocess.PIPE, text=True
    )


def test_the_quick_start_follows_a_project_to_its_package() -> None:
    # The server does all of the work.
    server = Server({})
    key = {"BOTARMY_KEY_FILE": str(server.key_file)}
    program = start(example("quick"), server, key)
    try:
        said, _ = program.communicate(timeout=60)
    finally:
        program.kill()
        server.close()
    assert program.returncode == 0, said
    assert said.startswith("workflow_event ")
    assert "hitl_request_created" in said
    assert said.splitlines()[-1].startswith("artifact_created"), said


def test_the_worker_asks_and_completes_a_task(server: Server, client: Client, key: str) -> None:
    program = start(example("worker"), server, {"BOTARMY_KEY": key})
    try:
        task = when(client, new_task(client), "waiting_for_hitl")
        (gate,) = list_project_requests.sync(task.project_id, client=client)
        answer = RespondBody(HitlAction.AMEND, content="Rust")
        respond_to_request.sync(gate.request_id, client=client, body=answer)
        done = when(client, task.task_id, "completed")
        assert done.output["markdown"] == "A haiku about queues, in Rust"
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
    finally:
        program.kill()
        program.communicate()
