from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client, new_idempotency_key
from ...models.hitl_request import HitlRequest
from ...types import UNSET, Response, Unset


def _get_kwargs(
    request_id: UUID,
    *,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    headers.setdefault("Idempotency-Key", new_idempotency_key())

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/hitl/{request_id}/escalate".format(
            request_id=quote(str(request_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> HitlRequest:
    if response.status_code == 200:
        response_200 = HitlRequest.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[HitlRequest]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    request_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[HitlRequest]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        request_id=request_id,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    request_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> HitlRequest:
    """Starts the next escalation of a request at once.

    Args:
        request_id (UUID):
        idempotency_key (str | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        request_id=request_id,
        client=client,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    request_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[HitlRequest]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        request_id=request_id,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    request_id: UUID,
    *,
    client: Client,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> HitlRequest:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            request_id=request_id,
            client=client,
            idempotency_key=idempotency_key,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
