"""The worker against a real server: results, questions, failures, lost leases, and stopping."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from botarmy import (
    Ask,
    Cancelled,
    Client,
    Context,
    Fail,
    Handler,
    Job,
    NewArtifact,
    Result,
    Unauthorized,
    Usage,
    Worker,
    json_object,
)
from botarmy.rest.api.context import list_artifacts
from botarmy.rest.api.hitl import list_project_requests, respond_to_request
from botarmy.rest.api.projects import create_project
from botarmy.rest.api.tasks import cancel_task, get_task
from botarmy.rest.models import AgentType, HitlAction, NewProjectBody, RespondBody
from conftest import QUICK, Proxy, Server, admin, new_task, until, when, worker_key


@contextmanager
def running(client: Client, handler: Handler, **options: Any) -> Iterator[Worker]:
    """Runs a worker beside a test."""
    worker = Worker(client, ["coder"], name="python", **{"wait_s": 2, **options})
    thread = threading.Thread(target=worker.run, args=[handler], daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop(0)
        thread.join(20)
        assert not thread.is_alive()


def test_a_task_is_completed_with_all_that_belongs_to_it(
    client: Client, worker_client: Client
) -> None:
    jobs: list[Job] = []

    def handle(job: Job, context: Context) -> Result:
        jobs.append(job)
        context.progress("counting syllables", 50)
        assert 0 < context.remaining <= 6
        source = NewArtifact(
            "source_code", {"files": [{"path": "a.txt", "content": "a"}]}, {"by": 1}
        )
        usage = Usage("double", "model-1", 7, 9, 11)
        return Result({"markdown": "First come"}, [source], confidence=0.95, usage=usage)

    task = new_task(client)
    Worker(worker_client, ["coder"], name="python").run(handle, max_tasks=1)
    done = get_task.sync(task, client=client)
    assert (done.status, done.failures) == ("completed", 0)
    assert done.output["markdown"] == "First come"
    assert (done.usage.model, done.usage.input_tokens, done.usage.cost_micro_usd) == (
        "model-1",
        7,
        11,
    )
    made = list_artifacts.sync(done.project_id, client=client, content=True).items
    assert "source_code" in [one.artifact_type for one in made]
    (job,) = jobs
    assert (job.id, job.agent, job.attempt, job.step) == (str(task), "coder", 1, None)
    assert job.instructions == "A haiku about queues"
    assert "A haiku about queues" in job.prompt()
    assert job.document["contract"] == "botarmy.command/1"


def test_progress_is_seen_by_those_who_follow(client: Client, worker_client: Client) -> None:
    def handle(job: Job, context: Context) -> dict[str, Any]:
        context.wait(1.5)
        context.progress("counting syllables")
        context.progress(percent=50)
        context.wait(3)
        return {"markdown": "done"}

    task = get_task.sync(new_task(client), client=client)
    with running(worker_client, handle):
        events = client.follow(task.project_id)
        shown = next(event for event in events if event.event_type == "task_progress")
    assert shown.task_id == str(task.task_id)
    assert shown.data == {"message": "counting syllables", "progress": 50}


def test_a_question_is_answered_by_a_person(client: Client, worker_client: Client) -> None:
    def handle(job: Job, context: Context) -> dict[str, Any] | Ask:
        if job.answer is None:
            return Ask("Which language?", ["Rust", "Python"], session="asked")
        assert job.resume is not None
        assert job.resume.session == "asked"
        assert f"A person answered: amend\n\n{job.answer.text}" in job.prompt()
        return {"markdown": f"In {job.answer.text}"}

    with running(worker_client, handle):
        task = when(client, new_task(client), "waiting_for_hitl")
        (gate,) = list_project_requests.sync(task.project_id, client=client)
        assert (gate.question, gate.options) == ("Which language?", ["Rust", "Python"])
        answer = RespondBody(action=HitlAction.AMEND, content="Rust")
        respond_to_request.sync(gate.request_id, client=client, body=answer)
        assert when(client, task.task_id, "completed").output["markdown"] == "In Rust"


def test_failures_are_tried_again_as_their_handler_says(
    client: Client, worker_client: Client
) -> None:
    failures: list[BaseException] = [
        Fail("busy now", "The model is busy.", retryable=True, retry_after=0.1),
        ValueError("a mistake"),
        Fail("no_idea", "I cannot."),
    ]

    def handle(job: Job, context: Context) -> dict[str, Any]:
        raise failures.pop(0)

    with running(worker_client, handle):
        task = new_task(client, max_attempts=5)
        failed = when(client, task, "failed")
    assert failures == []
    assert failed.failures == 3
    assert (failed.error_code, failed.error_message) == ("no_idea", "I cannot.")


@pytest.mark.parametrize("output", [None, {"a": float("nan")}, {"a": object()}, "text"])
def test_an_output_that_is_none_is_a_failure(
    output: Any, client: Client, worker_client: Client
) -> None:
    with running(worker_client, lambda job, context: output):
        failed = when(client, new_task(client), "failed")
    assert failed.error_code == "invalid_output"


def test_a_result_that_does_not_fit_is_reported_with_the_reasons(
    client: Client, worker_client: Client
) -> None:
    outputs: list[Any] = [{"a": 1, "b": "x" * 20_000_000}, {"markdown": "Shorter"}]

    with running(worker_client, lambda job, context: outputs.pop(0)):
        done = when(client, new_task(client), "completed")
    assert done.failures == 1
    assert done.output["markdown"] == "Shorter"


def waiting(started: threading.Event, ended: list[str]) -> Callable[[Job, Context], dict[str, Any]]:
    """Returns a handler that works until it is told to stop."""

    def handle(job: Job, context: Context) -> dict[str, Any]:
        started.set()
        try:
            while True:
                context.wait(60)
        except Cancelled as error:
            ended.append(str(error))
            return {"markdown": "too late"}

    return handle


def test_a_cancelled_task_ends_its_handler_and_its_result_is_dropped(
    client: Client, worker_client: Client
) -> None:
    started, ended = threading.Event(), list[str]()
    with running(worker_client, waiting(started, ended)):
        task = new_task(client)
        assert started.wait(10)
        # A heartbeat at the same moment would find another reason.
        time.sleep(0.5)
        cancel_task.sync(task, client=client)
        until(lambda: ended)
        assert ended == ["the task was cancelled"]
        # The slot is free for the next one.
        started.clear()
        new_task(client)
        assert started.wait(10)
    assert get_task.sync(task, client=client).status == "cancelled"


def test_an_asynchronous_handler_is_cancelled_where_it_waits(
    client: Client, worker_client: Client
) -> None:
    ended: list[str] = []
    started = threading.Event()

    async def handle(job: Job, context: Context) -> dict[str, Any]:
        started.set()
        if job.attempt > 1 or job.instructions != "A haiku about queues":
            return {"markdown": "done"}
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return {"markdown": "too late"}

    with running(worker_client, handle):
        task = new_task(client)
        assert started.wait(10)
        cancel_task.sync(task, client=client)
        until(lambda: ended == ["cancelled"])


def test_an_asynchronous_handler_that_blocks_keeps_its_lease(
    client: Client, worker_client: Client
) -> None:
    async def handle(job: Job, context: Context) -> dict[str, Any]:
        time.sleep(8)  # noqa: ASYNC251
        await asyncio.sleep(0)
        return {"markdown": f"attempt {job.attempt}"}

    with running(worker_client, handle):
        done = when(client, new_task(client), "completed")
    assert done.output["markdown"] == "attempt 1"


def test_a_worker_without_its_server_gives_up_when_the_lease_is_over(
    client: Client, proxy: Proxy, key: str
) -> None:
    started, ended = threading.Event(), list[str]()
    with (
        Client(proxy.url, key, retries=QUICK) as through,
        running(through, waiting(started, ended)),
    ):
        task = new_task(client)
        assert started.wait(10)
        proxy.away = True
        proxy.cut()
        until(lambda: ended, 15)
        assert "lease has expired" in ended[0]
        # It takes the same task again, once it can.
        started.clear()
        proxy.away = False
        assert started.wait(20)
        assert get_task.sync(task, client=client).attempt == 2


def test_a_result_is_delivered_once_though_its_response_is_lost(
    client: Client, proxy: Proxy, key: str
) -> None:
    def handle(job: Job, context: Context) -> dict[str, Any]:
        # The first heartbeat has been answered before.
        context.wait(0.7)
        proxy.swallow = True
        return {"markdown": f"attempt {job.attempt}"}

    task = new_task(client)
    with Client(proxy.url, key, retries=QUICK) as through:
        Worker(through, ["coder"]).run(handle, max_tasks=1)
    done = get_task.sync(task, client=client)
    assert (done.status, done.output["markdown"]) == ("completed", "attempt 1")
    assert not proxy.swallow


def test_a_worker_survives_its_server_being_killed(server: Server) -> None:
    with admin(server) as client, Client(server.url, worker_key(client), retries=QUICK) as its:
        started, go_on = threading.Event(), threading.Event()

        def handle(job: Job, context: Context) -> dict[str, Any]:
            started.set()
            assert go_on.wait(30)
            return {"markdown": f"attempt {job.attempt}"}

        with running(its, handle):
            task = new_task(client)
            assert started.wait(10)
            server.kill()
            time.sleep(0.5)
            server.start()
            go_on.set()
            done = when(client, task, "completed")
            assert done.output["markdown"] == "attempt 1"
            # It takes the next one as well.
            assert when(client, new_task(client), "completed")


def test_as_many_tasks_run_at_once_as_there_are_slots(
    client: Client, worker_client: Client
) -> None:
    together = threading.Barrier(3, timeout=20)

    def handle(job: Job, context: Context) -> dict[str, Any]:
        together.wait()
        return {"markdown": "done"}

    with running(worker_client, handle, slots=3):
        for task in [new_task(client) for _ in range(3)]:
            when(client, task, "completed")


def test_a_stopped_worker_lets_its_tasks_end(client: Client, worker_client: Client) -> None:
    started, go_on = threading.Event(), threading.Event()

    def handle(job: Job, context: Context) -> dict[str, Any]:
        started.set()
        assert go_on.wait(20)
        return {"markdown": "done"}

    worker = Worker(worker_client, ["coder"], slots=2)
    thread = threading.Thread(target=worker.run, args=[handler_of(handle)])
    thread.start()
    task = new_task(client)
    assert started.wait(10)
    worker.stop()
    other = new_task(client)
    time.sleep(0.5)
    assert thread.is_alive()
    go_on.set()
    thread.join(10)
    assert not thread.is_alive()
    assert get_task.sync(task, client=client).status == "completed"
    assert get_task.sync(other, client=client).status == "pending"
    cancel_task.sync(other, client=client)


def handler_of(handle: Callable[[Job, Context], dict[str, Any]]) -> Handler:
    return handle


PROGRAM = """
import sys
from botarmy import Client, Worker

def handle(job, context):
    print("at work", flush=True)
    context.wait(60)

Worker(Client(), ["coder"], grace_s=1).run(handle)
print("ended", flush=True)
"""


def test_a_terminated_program_gives_its_task_back(server: Server, client: Client, key: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "BOTARMY_SERVER": server.url,
            "BOTARMY_KEY": key,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        task = new_task(client, max_attempts=1)
        assert program.stdout is not None
        assert program.stdout.readline() == "at work\n"
        program.send_signal(signal.SIGTERM)
        out, _ = program.communicate(timeout=15)
        assert (out, program.returncode) == ("ended\n", 0)
    finally:
        program.kill()
    given_back = when(client, task, "failed")
    assert given_back.error_code == "worker_stopped"


def test_an_idle_program_ends_at_once(server: Server, key: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", "print('here', flush=True)" + PROGRAM],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "BOTARMY_SERVER": server.url,
            "BOTARMY_KEY": key,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "here\n"
    time.sleep(1.5)
    program.send_signal(signal.SIGTERM)
    out, _ = program.communicate(timeout=5)
    assert (out, program.returncode) == ("ended\n", 0)


def test_a_worker_with_a_wrong_key_ends_with_the_reason(server: Server) -> None:
    with Client(server.url, "no key") as client, pytest.raises(Unauthorized):
        Worker(client, ["coder"]).run(lambda job, context: {})


def test_a_worker_of_no_agent_is_a_mistake(worker_client: Client) -> None:
    for wrong in [{"agents": []}, {"agents": "coder"}, {"agents": ["coder"], "slots": 0}]:
        with pytest.raises(ValueError, match="must be"):
            Worker(worker_client, **wrong)  # type: ignore[arg-type]


def test_a_step_of_a_workflow_has_its_context_and_its_form(
    client: Client, worker_client: Client
) -> None:
    jobs: list[Job] = []

    def handle(job: Job, context: Context) -> Ask:
        jobs.append(job)
        return Ask("Enough?")

    body = NewProjectBody(name="Recipes", description="Recipes", workflow="sdlc")
    project = create_project.sync(client=client, body=body)
    with running(worker_client, handle):

        def reached() -> bool:
            for gate in list_project_requests.sync(project.id, client=client):
                if gate.status == "pending" and gate.kind == "approval":
                    answer = RespondBody(HitlAction.APPROVE, subject_digest=gate.subject.digest)
                    respond_to_request.sync(gate.request_id, client=client, body=answer)
            return bool(jobs)

        until(reached)
    (job,) = jobs
    assert job.output_schema is not None
    assert job.output_type == "source_code"
    assert job.step
    plans = [given for given in job.context if given.type == "software_specification"]
    assert plans
    assert f"# Given: {plans[0].name} (software_specification)" in job.prompt()


def test_the_object_in_a_model_answer_is_found() -> None:
    assert json_object('Here {it} is:\n```json\n{"a": {"b": 1}}\n``` {') == {"a": {"b": 1}}
    with pytest.raises(Fail) as none:
        json_object("I cannot.")
    assert (none.value.code, none.value.retryable) == ("no_json", True)


def test_the_agent_types_are_those_of_the_server() -> None:
    assert "coder" in [str(agent) for agent in AgentType]
