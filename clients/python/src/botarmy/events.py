"""The live events of a server as an iterator that survives lost connections."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse, connect_sse

from ._retry import Retries
from .errors import ProblemError

__all__ = ["Event"]

_PATH = "/api/v1/events/stream"
# Number of events among which one that is repeated is recognised.
_RECENT = 10_000
_log = logging.getLogger("botarmy")


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    event_type: str
    """Type, such as `task_completed`; `gap` says that something could not be delivered."""
    data: dict[str, Any]
    """Payload, by type."""
    project_id: str | None = None
    """Project, if it concerns one."""
    task_id: str | None = None
    """Task, if it concerns one."""
    agent_type: str | None = None
    """Agent type, if it concerns one."""
    timestamp: datetime | None = None
    """Time at which it happened."""
    seq: int | None = None
    """Position in the log of the project, or without one in the system log."""
    id: str | None = None
    """Id of the log entry, if there is one."""
    position: str | None = None
    """Position in the stream, to continue from: `last_event_id` of `follow`."""
    frame: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """All that the server sent, also what this version does not know."""


@dataclass
class _Stream:
    """The part of following that needs no connection."""

    retries: Retries
    project_id: str
    position: str | None
    give_up_after: float | None
    failures: int = 0
    last_contact: float = field(default_factory=time.monotonic)
    min_pause: float = 0.0
    recent: dict[str, None] = field(default_factory=dict)
    """Ids of the newest events, the oldest first."""

    def request(self) -> dict[str, Any]:
        headers = {"Last-Event-ID": self.position} if self.position else {}
        return {"params": {"project_id": self.project_id}, "headers": headers}

    def take(self, sent: ServerSentEvent) -> Event | None:
        """Returns the event, or `None` for one that was delivered before or is none."""
        self.failures, self.last_contact = 0, time.monotonic()
        if sent.retry is not None:
            self.min_pause = max(sent.retry, 0) / 1000
        # The first block has a position and no data, and heartbeats have a newer one.
        self.position = sent.id or self.position
        if not sent.data:
            return None
        frame = json.loads(sent.data)
        event = Event(
            event_type=frame.get("event_type", sent.event),
            data=frame.get("data") or {},
            project_id=frame.get("project_id"),
            task_id=frame.get("task_id"),
            agent_type=frame.get("agent_type"),
            timestamp=_time(frame.get("timestamp")),
            seq=frame.get("seq"),
            id=frame.get("id"),
            position=self.position,
            frame=frame,
        )
        if event.id is not None:
            # The server may repeat events of many projects after a lost connection.
            if event.id in self.recent:
                return None
            self.recent[event.id] = None
            if len(self.recent) > _RECENT:
                del self.recent[next(iter(self.recent))]
        return event

    def pause(self, reason: Exception) -> float:
        """Returns the pause before the next connection, or raises the error if it is final."""
        wait = None
        if isinstance(reason, ProblemError):
            if reason.status < 500 and reason.status not in (408, 429):
                raise reason
            wait = reason.retry_after
        silent = time.monotonic() - self.last_contact
        if self.give_up_after is not None and silent > self.give_up_after:
            raise reason
        self.failures += 1
        pause = self.retries.pause(self.failures, max(wait or 0.0, self.min_pause))
        _log.info("the event stream ended (%s); connecting again in %.1f s", reason, pause)
        return pause


class _Ended(httpx.TransportError):
    """The server ended the stream."""

    def __init__(self) -> None:
        super().__init__("the server ended the stream")


def follow(
    http: httpx.Client,
    retries: Retries,
    project_id: str,
    last_event_id: str | None,
    silence: float,
    give_up_after: float | None,
) -> Iterator[Event]:
    """Yields the events of a project, or of all; see `Client.follow`."""
    stream = _Stream(retries, project_id, last_event_id, give_up_after)
    timeout = httpx.Timeout(min(silence, 10.0), read=silence)
    while True:
        try:
            with connect_sse(http, "GET", _PATH, timeout=timeout, **stream.request()) as source:
                if source.response.status_code != 200:
                    source.response.read()
                    raise ProblemError.of(source.response)
                for sent in source.iter_sse():
                    event = stream.take(sent)
                    if event is not None:
                        yield event
            raise _Ended
        except (httpx.TransportError, SSEError, ProblemError) as error:
            pause = stream.pause(error)
        time.sleep(pause)


async def follow_async(
    http: httpx.AsyncClient,
    retries: Retries,
    project_id: str,
    last_event_id: str | None,
    silence: float,
    give_up_after: float | None,
) -> AsyncIterator[Event]:
    """Like `follow`, for asynchronous programs."""
    stream = _Stream(retries, project_id, last_event_id, give_up_after)
    timeout = httpx.Timeout(min(silence, 10.0), read=silence)
    while True:
        try:
            async with aconnect_sse(
                http, "GET", _PATH, timeout=timeout, **stream.request()
            ) as source:
                if source.response.status_code != 200:
                    await source.response.aread()
                    raise ProblemError.of(source.response)
                async for sent in source.aiter_sse():
                    event = stream.take(sent)
                    if event is not None:
                        yield event
            raise _Ended
        except (httpx.TransportError, SSEError, ProblemError) as error:
            pause = stream.pause(error)
        await asyncio.sleep(pause)


def _time(text: Any) -> datetime | None:
    """Reads a time; Python 3.10 does not know the letter Z."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) else None
