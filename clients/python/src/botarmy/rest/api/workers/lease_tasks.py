from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client
from ...models.handed_out_view import HandedOutView
from ...models.lease_query import LeaseQuery
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: LeaseQuery,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/worker/leases",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> HandedOutView | None:
    if response.status_code == 200:
        response_200 = HandedOutView.from_dict(response.json())

        return response_200

    return None


def _build_response(response: httpx.Response) -> Response[HandedOutView | None]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    body: LeaseQuery,
    x_request_id: str | Unset = UNSET,
) -> Response[HandedOutView | None]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        body=body,
        x_request_id=x_request_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    body: LeaseQuery,
    x_request_id: str | Unset = UNSET,
) -> HandedOutView | None:
    """Leases tasks to a worker, and waits for some if none is ready.

    A client that closes its side of the connection before the response gives up: nothing is
    leased
    to it.

    Args:
        x_request_id (str | Unset):
        body (LeaseQuery): Request for work.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        body=body,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    body: LeaseQuery,
    x_request_id: str | Unset = UNSET,
) -> Response[HandedOutView | None]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        body=body,
        x_request_id=x_request_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    body: LeaseQuery,
    x_request_id: str | Unset = UNSET,
) -> HandedOutView | None:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_request_id=x_request_id,
        )
    ).parsed
