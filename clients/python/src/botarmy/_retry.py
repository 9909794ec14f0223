"""The rule by which a request is sent again, and the pauses before it is."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx

from .errors import retry_after

__all__ = ["Retries"]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
# The server did not begin with the request, whatever its method.
_NOT_BEGUN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Retries:
    """Limits of the attempts at one request, and of the pauses between them."""

    attempts: int = 5
    """Number of attempts, the first one included; 1 sends nothing again."""
    first_pause: float = 0.5
    """Longest pause before the second attempt, in seconds. It doubles with each attempt."""
    max_pause: float = 8.0
    """Longest pause before an attempt, in seconds."""
    max_retry_after: float = 60.0
    """Longest `Retry-After` that is waited for, in seconds; after a longer one the error counts."""

    def pause(self, failures: int, at_least: float | None = None) -> float:
        """Returns the pause after this number of failures, at random in its upper half."""
        longest = min(self.max_pause, self.first_pause * 2.0 ** min(failures - 1, 30))
        return max(at_least or 0.0, random.uniform(longest / 2, longest))

    def after_error(
        self, request: httpx.Request, error: httpx.TransportError, failures: int
    ) -> float | None:
        """Returns the pause before the next attempt; `None` if there is none."""
        may_repeat = isinstance(error, _NOT_BEGUN) or _is_repeatable(request)
        return self.pause(failures) if may_repeat and failures < self.attempts else None

    def after_response(
        self, request: httpx.Request, response: httpx.Response, failures: int
    ) -> float | None:
        """Returns the pause before the next attempt; `None` if the response counts."""
        wait = retry_after(response.headers)
        # A 409 with a time is about the first request under the same key, which is in progress.
        in_progress = response.status_code == 409 and wait is not None
        away = response.status_code in (502, 503, 504) and _is_repeatable(request)
        if not (in_progress or away or response.status_code == 429) or failures >= self.attempts:
            return None
        if wait is not None and wait > self.max_retry_after:
            return None
        return self.pause(failures, wait)


def _is_repeatable(request: httpx.Request) -> bool:
    """Returns whether a repetition has no further effect."""
    return request.method in _SAFE or "idempotency-key" in request.headers
