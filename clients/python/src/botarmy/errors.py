"""Errors of the server, as exceptions. Each has the fields of its problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = [
    "BadRequest",
    "Conflict",
    "FieldError",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "ProblemError",
    "RateLimited",
    "ServerError",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
]

_CODE = "urn:botarmy:problem:"
_MAX_BODY = 200


@dataclass(frozen=True)
class FieldError:
    """Field of a request that is not acceptable."""

    field: str
    """Path of the field, with dots and brackets, or a JSON Pointer."""
    message: str
    """Requirement that the value does not meet."""


class ProblemError(Exception):
    """Response of the server that reports an error. Each status has a subclass."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        code: str | None = None,
        errors: tuple[FieldError, ...] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, title, detail)
        self.status = status
        """HTTP status."""
        self.title = title
        """Name of this kind of problem, for people."""
        self.detail = detail
        """Sentence that a person can act on."""
        self.code = code
        """Name of this kind of problem, for programs, such as `lease_lost`; most have none."""
        self.errors = errors
        """Fields of the request that are not acceptable."""
        self.request_id = request_id
        """Id of the request, under which the server's log has more."""
        self.retry_after = retry_after
        """Seconds after which the server suggests another attempt."""

    def __str__(self) -> str:
        """Returns the status, the detail and the id of the request."""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.detail or self.title}{request}"

    @staticmethod
    def of(response: httpx.Response) -> ProblemError:
        """Reads a response whose body has been received."""
        problem = _document(response)
        kind = str(problem.get("type", ""))
        fields = problem.get("errors")
        errors = [one for one in fields if isinstance(one, dict)] if fields else []
        status = response.status_code
        error = _CLASSES.get(status, ServerError if status >= 500 else ProblemError)
        return error(
            status,
            str(problem.get("title") or response.reason_phrase or "Error"),
            str(problem.get("detail") or ""),
            code=kind.removeprefix(_CODE) if kind.startswith(_CODE) else None,
            errors=tuple(
                FieldError(str(one.get("field", "")), str(one.get("message", ""))) for one in errors
            ),
            request_id=response.headers.get("x-request-id"),
            retry_after=retry_after(response.headers),
        )


class BadRequest(ProblemError):
    """The request is malformed, or its action is not possible as requested (400)."""


class Unauthorized(ProblemError):
    """The key or the token is missing, unknown or expired (401)."""


class Forbidden(ProblemError):
    """The caller lacks the permission (403)."""


class NotFound(ProblemError):
    """The object does not exist, or the caller may not see it (404)."""


class Conflict(ProblemError):
    """The state does not allow the request, or another one came first (409)."""


class Gone(ProblemError):
    """The object existed and was removed (410)."""


class TooLarge(ProblemError):
    """The body is larger than the limit (413)."""


class Invalid(ProblemError):
    """The request is well-formed, and a value is not acceptable (422); see `errors`."""


class RateLimited(ProblemError):
    """The caller exceeds a limit (429); see `retry_after`."""


class ServerError(ProblemError):
    """The server failed (5xx)."""


class Unavailable(ServerError):
    """Something that the server depends on is unavailable (503); see `retry_after`."""


_CLASSES: Mapping[int, type[ProblemError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    429: RateLimited,
    503: Unavailable,
}


def _document(response: httpx.Response) -> dict[str, Any]:
    """Returns the problem document of a response; for another body one with its beginning."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    # A proxy answered.
    return {"detail": f"{response.reason_phrase}: {response.text[:_MAX_BODY]}".strip(": \r\n")}


def retry_after(headers: httpx.Headers) -> float | None:
    """Returns the seconds of `Retry-After`. The server does not send dates."""
    value = headers.get("retry-after", "").strip()
    return float(value) if value.isdecimal() else None
