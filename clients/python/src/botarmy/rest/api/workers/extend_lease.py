from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ....client import Client
from ...models.heard_view import HeardView
from ...models.heartbeat_body import HeartbeatBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    lease: str,
    *,
    body: HeartbeatBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/worker/leases/{lease}/heartbeat".format(
            lease=quote(str(lease), safe=""),
        ),
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> HeardView:
    if response.status_code == 200:
        response_200 = HeardView.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[HeardView]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    lease: str,
    *,
    client: Client,
    body: HeartbeatBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[HeardView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        lease=lease,
        body=body,
        x_request_id=x_request_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    lease: str,
    *,
    client: Client,
    body: HeartbeatBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> HeardView:
    """Extends a lease.

    Args:
        lease (str):
        x_request_id (str | Unset):
        body (HeartbeatBody | Unset): Progress of a worker.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        lease=lease,
        client=client,
        body=body,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    lease: str,
    *,
    client: Client,
    body: HeartbeatBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> Response[HeardView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        lease=lease,
        body=body,
        x_request_id=x_request_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    lease: str,
    *,
    client: Client,
    body: HeartbeatBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
) -> HeardView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            lease=lease,
            client=client,
            body=body,
            x_request_id=x_request_id,
        )
    ).parsed
