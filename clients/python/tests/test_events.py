"""Following events: against a server that says what a test wants, and against a real one."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from botarmy import Client, Event, NotFound, Retries, Unauthorized
from botarmy.rest.api.projects import cancel_project, create_project
from botarmy.rest.api.tasks import submit_task
from botarmy.rest.models import AgentType, NewProjectBody, NewTaskBody
from conftest import QUICK, Proxy, Server, admin, until

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def frame(n: int, kind: str = "task_created", project: str | None = "p", **more: Any) -> str:
    """Returns an event as the server sends it."""
    text = {
        "event_type": kind,
        "project_id": project,
        "task_id": None,
        "agent_type": None,
        "data": {"n": n},
        "timestamp": "2026-12-01T08:00:00.123456Z",
        "seq": n,
        "id": f"e{n}",
        **more,
    }
    return f"id: {n}\nevent: {kind}\ndata: {json.dumps(text)}\n\n"


class Streams:
    """A server that answers each connection with the next of these texts, piece by piece."""

    def __init__(self, *answers: list[str | float]) -> None:
        self.requests: list[str] = []
        self._answers = list(answers)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=[connection, answer], daemon=True).start()
        # Connections after the last answer are refused.
        self._listener.close()

    def _answer(self, connection: socket.socket, answer: list[str | float]) -> None:
        with connection, contextlib.suppress(OSError):
            self.requests.append(connection.recv(65536).decode())
            for piece in answer:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    connection.sendall(piece.encode())

    def last_event_ids(self) -> list[str | None]:
        found = [re.search("last-event-id: (.*)\r", one, re.IGNORECASE) for one in self.requests]
        return [one and one[1] for one in found]


def take(events: Iterator[Event], number: int) -> list[Event]:
    return [next(events) for _ in range(number)]


@contextmanager
def following(streams: Streams, **options: Any) -> Iterator[Iterator[Event]]:
    with Client(streams.url, "k", retries=QUICK) as client:
        yield client.follow("p", **options)


def test_events_are_typed_and_positions_are_kept() -> None:
    streams = Streams([HEAD, ": hello\n\n", frame(1), frame(2, "task_progress", seq=None)])
    with following(streams) as events:
        first, second = take(events, 2)
    assert (first.event_type, first.project_id, first.seq, first.id) == (
        "task_created",
        "p",
        1,
        "e1",
    )
    assert (first.data, first.seq, first.position) == ({"n": 1}, 1, "1")
    assert first.timestamp is not None
    assert first.timestamp.isoformat() == "2026-12-01T08:00:00.123456+00:00"
    assert (second.event_type, second.seq, second.position) == ("task_progress", None, "2")
    assert "project_id=p" in streams.requests[0]
    assert "Bearer k" in streams.requests[0]


def test_a_lost_connection_continues_without_gaps_or_duplicates() -> None:
    cut = frame(3)[:25]
    streams = Streams(
        [HEAD, frame(1), frame(2), cut],
        [HEAD, frame(2), frame(3)],
        ["HTTP/1.1 503 Away\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"],
        [HEAD, frame(4)],
    )
    with following(streams, last_event_id="0") as events:
        assert [event.seq for event in take(events, 4)] == [1, 2, 3, 4]
    assert streams.last_event_ids() == ["0", "2", "3", "3"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_stream_may_arrive_in_any_pieces(line_end: str) -> None:
    text = frame(1, data={"text": "Grüße \u2028 dir"}) + "data: {\ndata: }\n\n" + frame(2)
    pieces: list[str | float] = [HEAD]
    for letter in text.replace("\n", line_end):
        pieces.append(letter)
    streams = Streams(pieces)
    with following(streams) as events:
        first, _, second = take(events, 3)
    # What JSON escapes and what it does not.
    assert first.data == {"text": "Grüße \u2028 dir"}
    assert second.seq == 2


def test_a_silent_connection_counts_as_lost() -> None:
    alive: list[str | float] = [": heartbeat\n\n", 0.2] * 5
    streams = Streams([HEAD, frame(1), *alive, frame(2), 2.0], [HEAD, frame(3)])
    began = time.monotonic()
    with following(streams, silence=0.5) as events:
        assert [event.seq for event in take(events, 3)] == [1, 2, 3]
    # Heartbeats keep it open, and silence ends it before the server does.
    assert time.monotonic() - began < 2.9
    assert streams.last_event_ids() == [None, "2"]


def test_a_gap_is_an_event_from_which_the_stream_goes_on() -> None:
    gap = frame(1, "gap", seq=None, id=None, data={"message": "The log was replaced."})
    streams = Streams([HEAD, frame(9), gap], [HEAD, frame(2)])
    with following(streams) as events:
        kinds = [(event.event_type, event.seq) for event in take(events, 3)]
    assert kinds == [("task_created", 9), ("gap", None), ("task_created", 2)]
    assert streams.last_event_ids() == [None, "1"]


def test_a_position_without_an_event_counts() -> None:
    streams = Streams(
        [HEAD, "retry: 10\nid: 7\n\n"], [HEAD, ": alive\nid: 8\n\n"], [HEAD, frame(9)]
    )
    with following(streams) as events:
        assert next(events).seq == 9
    assert streams.last_event_ids() == [None, "7", "8"]


def test_an_event_is_recognised_by_its_id() -> None:
    frames = [frame(5, project="a", id="x"), frame(1, project="b", id="y")]
    unlogged = frame(1, project="b", id=None)
    streams = Streams([HEAD, *frames, frames[0], unlogged, unlogged])
    with following(streams) as events:
        assert [event.project_id for event in take(events, 4)] == ["a", "b", "b", "b"]


@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (404, NotFound)])
def test_what_no_repetition_mends_is_raised(status: int, error: type[Exception]) -> None:
    streams = Streams([f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"])
    with following(streams) as events, pytest.raises(error):
        next(events)


def test_the_pause_before_a_connection_is_at_least_what_the_server_says() -> None:
    streams = Streams([HEAD, "retry: 700\n\n", frame(1)], [HEAD, frame(2)])
    with following(streams) as events:
        next(events)
        began = time.monotonic()
        next(events)
    assert time.monotonic() - began >= 0.7


def test_a_server_that_stays_away_is_given_up_if_asked() -> None:
    streams = Streams()
    streams._thread.join()
    with following(streams, give_up_after=0.5) as events, pytest.raises(httpx.ConnectError):
        next(events)


def test_asynchronous_programs_follow_in_the_same_way() -> None:
    streams = Streams([HEAD, frame(1), frame(2)], [HEAD, frame(2), frame(3)])

    async def main() -> list[int | None]:
        found = []
        async with Client(streams.url, "k", retries=Retries(first_pause=0.05)) as client:
            async for event in client.follow_async("p"):
                found.append(event.seq)
                if event.seq == 3:
                    break
        return found

    assert asyncio.run(main()) == [1, 2, 3]
    assert streams.last_event_ids() == [None, "2"]


def test_events_of_a_real_server_continue_after_lost_connections(
    server: Server, proxy: Proxy, client: Client
) -> None:
    project = create_project.sync(client=client, body=NewProjectBody(name="Poems"))
    seen: list[Event] = []
    everything: list[Event] = []

    def collect(project_id: str, events: list[Event], last_event_id: str | None) -> None:
        def ended(event: Event) -> bool:
            return event.data.get("event") == "project_cancelled"

        with admin(server, proxy.url) as through:
            for event in through.follow(project_id, last_event_id=last_event_id):
                events.append(event)
                if ended(event):
                    return

    threads = [
        threading.Thread(target=collect, args=[str(project.id), seen, "0"], daemon=True),
        threading.Thread(target=collect, args=["all", everything, None], daemon=True),
    ]
    for thread in threads:
        thread.start()
    until(lambda: seen)
    time.sleep(0.3)
    tasks = []
    body = NewTaskBody(agent_type=AgentType.CODER, instructions="Wait")
    for _ in range(3):
        tasks.append(str(submit_task.sync(project.id, client=client, body=body).task_id))
        proxy.cut()

    def created(events: list[Event]) -> list[str | None]:
        return [event.task_id for event in events if event.event_type == "task_created"]

    until(lambda: len(created(seen)) >= 3 and len(created(everything)) >= 3)
    server.kill()
    server.start()
    cancel_project.sync(project.id, client=client)
    for thread in threads:
        thread.join(30)
    assert created(seen) == created(everything) == tasks
    positions = [event.seq for event in seen if event.seq is not None]
    assert positions == list(range(1, len(positions) + 1))
    with pytest.raises(NotFound):
        next(client.follow(uuid4()))
