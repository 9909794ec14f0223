"""The connection to a server: address, key, time limits and retries of all calls."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ._retry import Retries
from .errors import ProblemError
from .events import Event, follow, follow_async

__all__ = ["Client", "new_idempotency_key"]

DEFAULT_SERVER = "http://127.0.0.1:8080"
_USER_AGENT = "botarmy-python/0.1.0"
_log = logging.getLogger("botarmy")


def new_idempotency_key() -> str:
    """Returns a key under which a call may be sent again without a second effect."""
    return str(uuid.uuid4())


class Client:
    """Connection to a server, for the functions of `botarmy.rest.api`, `follow` and `Worker`.

    The address is `server`, or else the variable `BOTARMY_SERVER`, or else
    `http://127.0.0.1:8080`. The key is `key`, or the content of `key_file`, or else that of the
    variables `BOTARMY_KEY` or `BOTARMY_KEY_FILE`; an open server needs none.

    It is safe for threads. Its asynchronous calls belong to one event loop. Any further argument
    is one of `httpx.Client` and `httpx.AsyncClient`, such as `verify` for a certificate authority
    of your own.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        key_file: str | os.PathLike[str] | None = None,
        timeout: httpx.Timeout | float = 30.0,
        retries: Retries | None = None,
        headers: dict[str, str] | None = None,
        **httpx_options: Any,
    ) -> None:
        self.server = (server or os.environ.get("BOTARMY_SERVER") or DEFAULT_SERVER).rstrip("/")
        """Address of the server, without a slash at its end."""
        self.retries = retries or Retries()
        """Attempts at each call that may be repeated."""
        key = _find_key(key, key_file)
        authorization = {"Authorization": f"Bearer {key}"} if key else {}
        self._options: dict[str, Any] = {
            "base_url": self.server,
            "timeout": timeout,
            "headers": {"User-Agent": _USER_AGENT, **authorization, **(headers or {})},
            **httpx_options,
        }
        self._lock = threading.Lock()
        self._sync: httpx.Client | None = None
        self._async: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        """Returns the address; the key is secret."""
        return f"Client({self.server!r})"

    @property
    def http(self) -> httpx.Client:
        """Client for blocking calls."""
        with self._lock:
            if self._sync is None:
                self._sync = httpx.Client(**self._options)
            return self._sync

    @property
    def async_http(self) -> httpx.AsyncClient:
        """Client for asynchronous calls."""
        if self._async is None:
            self._async = self.new_async_http()
        return self._async

    def new_async_http(self, **options: Any) -> httpx.AsyncClient:
        """Creates a client with the same settings for another event loop. The caller closes it."""
        return httpx.AsyncClient(**{**self._options, **options})

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Sends a request and returns the response.

        Repeats it as `Retries` allows. Raises a `ProblemError` for a response with a status from
        400, and an `httpx.TransportError` if there is none.
        """
        request = self.http.build_request(method, url, **options)
        for failures in range(1, self.retries.attempts + 1):
            try:
                response = self.http.send(request)
                pause = self.retries.after_response(request, response, failures)
                if pause is None:
                    return _checked(response)
            except httpx.TransportError as error:
                pause = self.retries.after_error(request, error, failures)
                if pause is None:
                    raise
            time.sleep(pause)
        raise AssertionError("the last attempt has no pause after it")

    async def request_async(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Like `request`, for asynchronous programs."""
        request = self.async_http.build_request(method, url, **options)
        for failures in range(1, self.retries.attempts + 1):
            try:
                response = await self.async_http.send(request)
                pause = self.retries.after_response(request, response, failures)
                if pause is None:
                    return _checked(response)
            except httpx.TransportError as error:
                pause = self.retries.after_error(request, error, failures)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt has no pause after it")

    def follow(
        self,
        project_id: str | uuid.UUID = "all",
        *,
        last_event_id: str | None = None,
        silence: float = 40.0,
        give_up_after: float | None = None,
    ) -> Iterator[Event]:
        """Yields the events of a project, or with `all` those of everything that the caller sees.

        With `last_event_id`, the `position` of an event, begins after that event, else with those
        that happen from now on; "0" begins with the first one of a project. Connects again by
        itself and continues where it was. A connection that is silent for `silence` seconds counts
        as lost; the server sends a heartbeat every 15. Raises the last error after `give_up_after`
        seconds without a connection.
        """
        return follow(
            self.http, self.retries, str(project_id), last_event_id, silence, give_up_after
        )

    def follow_async(
        self,
        project_id: str | uuid.UUID = "all",
        *,
        last_event_id: str | None = None,
        silence: float = 40.0,
        give_up_after: float | None = None,
    ) -> AsyncIterator[Event]:
        """Like `follow`, for asynchronous programs."""
        return follow_async(
            self.async_http, self.retries, str(project_id), last_event_id, silence, give_up_after
        )

    def close(self) -> None:
        """Closes the connections of blocking calls."""
        if self._sync is not None:
            self._sync.close()
            self._sync = None

    async def aclose(self) -> None:
        """Closes all connections."""
        self.close()
        if self._async is not None:
            await self._async.aclose()
            self._async = None

    def __enter__(self) -> Client:
        """Returns the client, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes the connections of blocking calls."""
        self.close()

    async def __aenter__(self) -> Client:
        """Returns the client, which is closed at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes all connections."""
        await self.aclose()


def _checked(response: httpx.Response) -> httpx.Response:
    """Returns the response, or raises the error that it reports."""
    if response.status_code >= 400:
        raise ProblemError.of(response)
    return response


def _find_key(key: str | None, key_file: str | os.PathLike[str] | None) -> str | None:
    """Returns the key of a program: that of its arguments, or else of the environment."""
    if key is None and key_file is None:
        key, key_file = os.environ.get("BOTARMY_KEY"), os.environ.get("BOTARMY_KEY_FILE")
    if key or not key_file:
        return key.strip() if key else None
    path = Path(key_file)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        _log.warning("other users can read the key in %s; type: chmod 600 %s", path, path)
    # The server writes its first key as a header, too.
    return path.read_text("utf-8").strip().removeprefix("Authorization: Bearer ")
