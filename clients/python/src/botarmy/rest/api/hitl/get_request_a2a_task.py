from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.a2a_task_view import A2ATaskView
from ...types import UNSET, Response, Unset


def _get_kwargs(
    request_id: UUID,
    *,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/hitl/{request_id}/a2a".format(
            request_id=quote(str(request_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> A2ATaskView:
    if response.status_code == 200:
        response_200 = A2ATaskView.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[A2ATaskView]:
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
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[A2ATaskView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        request_id=request_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    request_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> A2ATaskView:
    """Returns a pending request in the form of a task of A2A 1.0 that waits for input.

    Args:
        request_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        request_id=request_id,
        client=client,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    request_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[A2ATaskView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        request_id=request_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    request_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> A2ATaskView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            request_id=request_id,
            client=client,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
