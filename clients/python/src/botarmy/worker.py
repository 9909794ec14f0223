"""An external worker: takes tasks, keeps their leases while a function works, returns results."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import platform
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

import httpx

from ._retry import Retries
from .client import Client
from .errors import ProblemError, retry_after
from .events import _time
from .job import Ask, Cancelled, Fail, Job, Result, Usage

__all__ = ["Context", "Handler", "Outcome", "Worker"]

Outcome: TypeAlias = "Mapping[str, Any] | Result | Ask"
"""What a handler returns: an output, an output with more about it, or a question."""
Handler: TypeAlias = "Callable[[Job, Context], Outcome | Awaitable[Outcome]]"
"""Function that does a task, blocking or asynchronous."""

_LEASES = "/api/v1/worker/leases"
_MAX_POLL_S = 30
_MAX_LEASES = 100
_MAX_CODE = 64
_MAX_MESSAGE = 4096
# Shortest time between two heartbeats, however often there is progress, in seconds.
_MIN_INTERVAL = 1.0
# Time for the last calls when a worker stops, in seconds.
_FAREWELL = 5.0
_log = logging.getLogger("botarmy")


class Context:
    """The lease of a task, as its handler sees it. All of it is safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reason = ""
        self._deadline = datetime.max.replace(tzinfo=timezone.utc)
        self._ends_at = math.inf
        self._news: tuple[str | None, float | None] = (None, None)
        self._on_end: list[Callable[[], None]] = []
        self._on_progress: Callable[[], None] = lambda: None

    def progress(self, message: str | None = None, percent: float | None = None) -> None:
        """Shows people who watch a line of text, and the progress from 0 to 100.

        Raises `Cancelled` if the result does not count any more.
        """
        self.raise_if_cancelled()
        with self._lock:
            old_message, old_percent = self._news
            percent = old_percent if percent is None else min(max(percent, 0.0), 100.0)
            self._news = (old_message if message is None else message[:_MAX_MESSAGE], percent)
        self._on_progress()

    @property
    def cancelled(self) -> bool:
        """Whether the result does not count any more, and the handler should end."""
        return self._ended.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises `Cancelled` if the result does not count any more."""
        if self._ended.is_set():
            raise Cancelled(self._reason)

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises `Cancelled` as soon as the result does not count any more."""
        self._ended.wait(seconds)
        self.raise_if_cancelled()

    @property
    def deadline(self) -> datetime:
        """Time after which the result is not taken, by the server's clock.

        Heartbeats move it, until the time limit of the attempt is reached.
        """
        return self._deadline

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, whatever the clock of this machine shows."""
        return max(0.0, self._ends_at - time.monotonic())

    def _extend(self, expires_at: str, response: httpx.Response, sent_at: float) -> None:
        """Takes the new end of the lease from a response to what was sent at this time."""
        ends = _time(expires_at)
        assert ends is not None
        # The clocks may differ; the server's own says how long the lease lasts.
        now = _date(response) or datetime.now(timezone.utc)
        self._deadline, self._ends_at = ends, sent_at + (ends - now).total_seconds()

    def _take_news(self) -> dict[str, Any]:
        with self._lock:
            message, percent = self._news
            self._news = (None, None)
        news = {"message": message if message and message.strip() else None, "progress": percent}
        return {name: value for name, value in news.items() if value is not None}

    def _end(self, reason: str) -> None:
        """Tells the handler that its result does not count any more."""
        with self._lock:
            if self._ended.is_set():
                return
            self._reason = reason
            self._ended.set()
            callbacks, self._on_end = self._on_end, []
        for callback in callbacks:
            callback()

    def _call_at_end(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if not self._ended.is_set():
                self._on_end.append(callback)
                return
        callback()


class Worker:
    """External worker for one or several agent types.

    `slots` is the number of tasks at the same time, each in a thread of its own. `name` appears in
    the log. When the worker is stopped, running tasks have `grace_s` seconds to end before they are
    given back to the server.
    """

    def __init__(
        self,
        client: Client,
        agents: Sequence[str],
        *,
        name: str | None = None,
        slots: int = 1,
        wait_s: int = _MAX_POLL_S,
        grace_s: float = 30.0,
    ) -> None:
        if isinstance(agents, str) or not agents:
            raise ValueError('agents must be a list of agent types, such as ["coder"]')
        if not 1 <= slots <= _MAX_LEASES:
            raise ValueError(f"slots must be 1 to {_MAX_LEASES}")
        if not 0 <= wait_s <= _MAX_POLL_S:
            raise ValueError(f"wait_s must be 0 to {_MAX_POLL_S}")
        self._client = client
        self._agents = [str(agent) for agent in agents]
        self._name = (name or platform.node() or "python")[:128]
        self._slots, self._wait_s, self._grace_s = slots, wait_s, grace_s
        self._lock = threading.Lock()
        self._core: _Core | None = None

    def run(self, handler: Handler, *, max_tasks: int | None = None) -> None:
        """Takes tasks and does them, until the worker is stopped or has done `max_tasks`.

        A blocking handler runs in a thread, an asynchronous one in a thread with an event loop of
        its own; heartbeats do not depend on either. In the main thread, SIGTERM and Ctrl-C stop the
        worker, and a second one gives running tasks back at once. Raises a `ProblemError` when the
        server refuses the worker, such as for its key.
        """
        core = _Core(self._client, self._agents, self._name, self._slots, self._wait_s, handler)
        with self._lock:
            if self._core is not None:
                raise RuntimeError("the worker runs already")
            self._core = core
        failed: list[BaseException] = []

        def serve() -> None:
            try:
                asyncio.run(core.serve(max_tasks))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=serve, name="botarmy-worker", daemon=True)
        try:
            with _signals(self._on_signal):
                thread.start()
                while thread.is_alive():
                    thread.join(1.0)
        finally:
            self._core = None
        if failed:
            raise failed[0]

    def stop(self, grace_s: float | None = None) -> None:
        """Takes no more tasks; `run` returns when those that run have ended or were given back.

        Safe for threads and signal handlers. Without a run it has no effect.
        """
        core = self._core
        if core is not None:
            core.stop(self._grace_s if grace_s is None else grace_s)

    def _on_signal(self, count: int) -> None:
        self.stop(None if count == 1 else 0.0)


class _Core:
    """One run of a worker, in its own event loop."""

    def __init__(
        self,
        client: Client,
        agents: list[str],
        name: str,
        slots: int,
        wait_s: int,
        handler: Handler,
    ) -> None:
        self.client, self.handler, self.slots = client, handler, slots
        self.query = {"worker_id": name, "agents": agents, "wait_s": wait_s}
        self.wait_s = wait_s
        self.http: httpx.AsyncClient
        self.retries: Retries = client.retries
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._stop_by = math.inf
        self._lock = threading.Lock()

    def stop(self, grace_s: float) -> None:
        with self._lock:
            self._stop_by = min(self._stop_by, time.monotonic() + grace_s)
            loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            # The loop may have ended meanwhile.
            try:
                loop.call_soon_threadsafe(stopping.set)
            except RuntimeError:
                return

    async def serve(self, max_tasks: int | None) -> None:
        stopping = asyncio.Event()
        with self._lock:
            self._loop, self._stopping = asyncio.get_running_loop(), stopping
            if self._stop_by != math.inf:
                stopping.set()
        attempts: dict[asyncio.Task[None], _Attempt] = {}
        limits = httpx.Limits(max_connections=None)
        async with self.client.new_async_http(limits=limits) as self.http:
            try:
                await self._take_tasks(stopping, attempts, max_tasks)
            finally:
                await self._wind_down(stopping, attempts)

    async def _take_tasks(
        self,
        stopping: asyncio.Event,
        attempts: dict[asyncio.Task[None], _Attempt],
        max_tasks: int | None,
    ) -> None:
        stop = asyncio.create_task(stopping.wait())
        begun, failures = 0, 0
        try:
            while not stopping.is_set() and (max_tasks is None or begun < max_tasks):
                free = self.slots - len(attempts)
                if max_tasks is not None:
                    free = min(free, max_tasks - begun)
                if free <= 0:
                    await asyncio.wait({stop, *attempts}, return_when=asyncio.FIRST_COMPLETED)
                    _forget_done(attempts)
                    continue
                poll = asyncio.create_task(self._poll(free))
                await asyncio.wait({stop, poll}, return_when=asyncio.FIRST_COMPLETED)
                if not poll.done():
                    # A poll whose connection is closed is given nothing.
                    poll.cancel()
                    await asyncio.wait({poll})
                    return
                try:
                    leases, failures = poll.result(), 0
                except (httpx.TransportError, ProblemError) as error:
                    failures += 1
                    pause = self._pause(error, failures)
                    _log.warning(
                        "no tasks from %s: %s; again in %.1f s", self.client.server, error, pause
                    )
                    await asyncio.wait({stop}, timeout=pause)
                    continue
                for lease, response, sent_at in leases:
                    attempt = _Attempt(self, lease, response, sent_at)
                    attempts[asyncio.create_task(attempt.serve())] = attempt
                    begun += 1
                _forget_done(attempts)
        finally:
            stop.cancel()

    def _pause(self, error: httpx.TransportError | ProblemError, failures: int) -> float:
        """Returns the pause before the next poll, or raises an error that no repetition mends."""
        wait = None
        if isinstance(error, ProblemError):
            if not _is_transient(error.status):
                raise error
            wait = error.retry_after
        return self.retries.pause(failures, wait)

    async def _poll(self, most: int) -> list[tuple[dict[str, Any], httpx.Response, float]]:
        query = {**self.query, "max": min(most, _MAX_LEASES)}
        timeout = httpx.Timeout(10.0, read=self.wait_s + 15.0)
        sent_at = time.monotonic()
        response = await self.http.post(_LEASES, json=query, timeout=timeout)
        if response.status_code == 204:
            return []
        if response.status_code != 200:
            raise ProblemError.of(response)
        # The time of sending is too early by the wait, and would shorten the lease.
        received = max(sent_at, time.monotonic() - 1.0)
        return [(lease, response, received) for lease in response.json()["leases"]]

    async def _wind_down(
        self, stopping: asyncio.Event, attempts: dict[asyncio.Task[None], _Attempt]
    ) -> None:
        """Lets running attempts end, and gives back those that take too long once it is stopped."""
        while attempts:
            # A second signal may shorten the time.
            left = self._stop_by - time.monotonic()
            if left <= 0:
                break
            await asyncio.wait(attempts, timeout=min(left, 0.2))
            _forget_done(attempts)
        for attempt in attempts.values():
            attempt.give_back()
        if attempts:
            await asyncio.wait(attempts, timeout=_FAREWELL)
        for task in attempts:
            task.cancel()
        if attempts:
            await asyncio.wait(attempts)


class _Attempt:
    """One lease: heartbeats beside the handler, and the call with its result."""

    def __init__(
        self, core: _Core, lease: dict[str, Any], response: httpx.Response, sent_at: float
    ) -> None:
        self.core = core
        self.path = f"{_LEASES}/{lease['lease']}"
        self.headers = {"Authorization": f"Bearer {lease['token']}"}
        self.interval = float(lease["heartbeat_s"])
        self.document: dict[str, Any] = lease["task"]
        self.name = self.document.get("task", {}).get("id", lease["lease"])
        self.context = Context()
        self.context._extend(lease["expires_at"], response, sent_at)
        self._gave_back = asyncio.Event()
        self._delivering = False

    def give_back(self) -> None:
        if not self._delivering:
            self.context._end("the worker stops")
            self._gave_back.set()

    async def serve(self) -> None:
        context = self.context
        news = asyncio.Event()
        loop = asyncio.get_running_loop()
        context._on_progress = lambda: _call_soon(loop, news.set)
        beats = asyncio.create_task(self._beat(news))
        work = asyncio.create_task(self._work(loop))
        given_back = asyncio.create_task(self._gave_back.wait())
        try:
            await asyncio.wait({work, given_back}, return_when=asyncio.FIRST_COMPLETED)
            if self._gave_back.is_set():
                message = "The worker was stopped before the task was done."
                call = _failure(Fail("worker_stopped", message, retryable=True, retry_after=0))
            elif context.cancelled:
                # The handler has ended, and its result does not count.
                _log.info("task %s: %s", self.name, context._reason)
                return
            else:
                call = work.result()
            self._delivering = True
            await self._deliver(*call)
        except Exception:
            _log.exception("task %s: its result could not be delivered", self.name)
        finally:
            for task in (beats, work, given_back):
                task.cancel()

    async def _work(self, loop: asyncio.AbstractEventLoop) -> tuple[str, bytes]:
        """Runs the handler in a thread; returns the name of a call and its body."""
        result: asyncio.Future[tuple[str, bytes]] = loop.create_future()

        def work() -> None:
            call = self._call_handler()
            _call_soon(loop, lambda: None if result.done() else result.set_result(call))

        threading.Thread(target=work, name=f"botarmy-{self.name}", daemon=True).start()
        return await result

    def _call_handler(self) -> tuple[str, bytes]:
        """Calls the handler in this thread. All that it raises is a failure of the attempt."""
        try:
            job = Job.of(self.document)
            outcome = self.core.handler(job, self.context)
            if inspect.isawaitable(outcome):
                outcome = asyncio.run(self._awaited(outcome))
            return _call_of(outcome)
        except Fail as failure:
            return _failure(failure)
        except (Cancelled, asyncio.CancelledError) as error:
            # After a loss the call is not made; without one it is a mistake of the handler.
            return _failure(
                Fail("cancelled", str(error) or "The handler was cancelled.", retryable=True)
            )
        except BaseException as error:
            if not self.context.cancelled:
                _log.exception("task %s: the handler failed", self.name)
            return _failure(Fail("crashed", f"{type(error).__name__}: {error}", retryable=True))

    async def _awaited(self, outcome: Awaitable[Outcome]) -> Outcome:
        """Awaits a handler, which is cancelled with its task."""
        loop, work = asyncio.get_running_loop(), asyncio.ensure_future(outcome)
        self.context._call_at_end(lambda: _call_soon(loop, work.cancel))
        return await work

    async def _beat(self, news: asyncio.Event) -> None:
        """Sends heartbeats, the first one at once; ends the context when the lease is lost."""
        context, failures, heard_at = self.context, 0, -math.inf
        while True:
            news.clear()
            body, sent_at = context._take_news(), time.monotonic()
            pause = self.interval
            try:
                timeout = max(1.0, min(10.0, context.remaining))
                response = await self._post("heartbeat", json.dumps(body).encode(), timeout)
                if response.status_code == 200:
                    heard, failures, heard_at = response.json(), 0, sent_at
                    if heard["cancel"]:
                        return self._lost("the task was cancelled")
                    context._extend(heard["expires_at"], response, sent_at)
                elif _is_transient(response.status_code):
                    failures += 1
                    wait = retry_after(response.headers)
                    pause = min(self.interval, self.core.retries.pause(failures, wait))
                elif response.status_code in (400, 413, 422):
                    _log.warning(
                        "task %s: its progress was refused: %s",
                        self.name,
                        ProblemError.of(response),
                    )
                else:
                    return self._lost(str(ProblemError.of(response)))
            except httpx.TransportError:
                failures += 1
                pause = min(self.interval, self.core.retries.pause(failures))
            if context.remaining <= 0:
                return self._lost("the lease has expired, because the server cannot be reached")
            pause = min(pause, context.remaining)
            try:
                await asyncio.wait_for(news.wait(), pause)
            except asyncio.TimeoutError:
                continue
            await asyncio.sleep(max(0.0, heard_at + _MIN_INTERVAL - time.monotonic()))

    def _lost(self, reason: str) -> None:
        if not self._delivering:
            self.context._end(reason)

    async def _deliver(self, verb: str, body: bytes) -> None:
        """Sends a result until the server takes or refuses it, while the lease lasts."""
        response = await self._post_until_answered(verb, body)
        if response is None:
            _log.warning("task %s: the server cannot be reached with its result", self.name)
            return
        if response.status_code in (400, 413, 422) and verb != "fail":
            # The lease is still held. The next attempt finds the reasons in its instructions.
            problem = ProblemError.of(response)
            reasons = [problem.detail, *(error.message for error in problem.errors)]
            _log.warning("task %s: its result was refused: %s", self.name, problem)
            refused = Fail("refused", "; ".join(reasons), retryable=True)
            response = await self._post_until_answered(*_failure(refused))
        if response is not None and response.status_code >= 400:
            _log.warning("task %s: %s: %s", self.name, verb, ProblemError.of(response))
        elif response is not None:
            _log.info("task %s: %s: %s", self.name, verb, response.json().get("status"))

    async def _post_until_answered(self, verb: str, body: bytes) -> httpx.Response | None:
        failures = 0
        while True:
            wait = None
            try:
                response = await self._post(verb, body, 30.0)
                if not _is_transient(response.status_code):
                    return response
                wait = retry_after(response.headers)
            except httpx.TransportError as error:
                _log.info("task %s: %s: %r", self.name, verb, error)
            failures += 1
            pause = self.core.retries.pause(failures, wait)
            if self.context.remaining < pause:
                return None
            await asyncio.sleep(pause)

    async def _post(self, verb: str, body: bytes, timeout: float) -> httpx.Response:
        headers = {"Content-Type": "application/json", **self.headers}
        url = f"{self.path}/{verb}"
        return await self.core.http.post(url, content=body, headers=headers, timeout=timeout)


def _call_of(outcome: Outcome) -> tuple[str, bytes]:
    """Returns the name of a call and its body for what a handler returned."""
    body: dict[str, Any]
    if isinstance(outcome, Ask):
        verb, body = "ask", {"question": outcome.question}
        body["options"] = list(outcome.options)
        body["artifacts"] = [str(one) for one in outcome.artifacts]
        body["session"] = outcome.session
        body["usage"] = _usage(outcome.usage)
        body["policy"] = outcome.policy
        body["assignees"] = list(outcome.assignees) or None
        schema = outcome.response_schema
        body["response_schema"] = dict(schema) if schema is not None else None
    elif isinstance(outcome, Result):
        verb, body = "complete", {"output": outcome.output}
        body["artifacts"] = [
            _without_none(
                artifact_type=made.artifact_type,
                content=made.content,
                artifact_metadata=made.metadata,
            )
            for made in outcome.artifacts
        ]
        body["confidence"] = outcome.confidence
        body["usage"] = _usage(outcome.usage)
    elif isinstance(outcome, Mapping):
        verb, body = "complete", {"output": dict(outcome)}
    else:
        kind = type(outcome).__name__
        raise Fail("invalid_output", f"The handler returned {kind}, not an object or a question.")
    try:
        return verb, json.dumps(_without_none(**body), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Fail("invalid_output", f"The output cannot be written as JSON: {error}") from error


def _failure(failure: Fail) -> tuple[str, bytes]:
    """Returns the call for a failure, in the form that the server accepts."""
    body = _without_none(
        code="".join(failure.code.split())[:_MAX_CODE] or "failed",
        message=failure.message.strip()[:_MAX_MESSAGE] or "There is no message.",
        retryable=failure.retryable,
        usage=_usage(failure.usage),
    )
    if failure.retryable and failure.retry_after is not None:
        body["retry_after_s"] = min(max(math.ceil(failure.retry_after), 0), 86_400)
    return "fail", json.dumps(body).encode()


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    return None if usage is None else _without_none(**asdict(usage))


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _is_transient(status: int) -> bool:
    """Returns whether the same call may succeed later."""
    return status in (408, 429) or status >= 500


def _forget_done(attempts: dict[asyncio.Task[None], _Attempt]) -> None:
    for task in [task for task in attempts if task.done()]:
        del attempts[task]


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Calls a function in an event loop, if that still runs."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return


def _date(response: httpx.Response) -> datetime | None:
    """Returns the time of a response by the server's clock."""
    try:
        return parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return None


@contextmanager
def _signals(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Calls a function with the number of signals so far. Only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def receive(_number: int, _frame: object) -> None:
        nonlocal count
        count += 1
        on_signal(count)

    before = {one: signal.signal(one, receive) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
