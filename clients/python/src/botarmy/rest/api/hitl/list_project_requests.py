from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.hitl_request import HitlRequest
from ...models.hitl_status import HitlStatus
from ...types import UNSET, Response, Unset


def _get_kwargs(
    project_id: UUID,
    *,
    status_filter: HitlStatus | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    params: dict[str, Any] = {}

    json_status_filter: str | Unset = UNSET
    if not isinstance(status_filter, Unset):
        json_status_filter = status_filter.value

    params["status_filter"] = json_status_filter

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/hitl/project/{project_id}/requests".format(
            project_id=quote(str(project_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> list[HitlRequest]:
    if response.status_code == 200:
        response_200 = []
        _response_200 = response.json()
        for response_200_item_data in _response_200:
            response_200_item = HitlRequest.from_dict(response_200_item_data)

            response_200.append(response_200_item)

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[list[HitlRequest]]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    project_id: UUID,
    *,
    client: Client,
    status_filter: HitlStatus | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[HitlRequest]]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id=project_id,
        status_filter=status_filter,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    project_id: UUID,
    *,
    client: Client,
    status_filter: HitlStatus | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[HitlRequest]:
    """Lists the requests of a project, newest first.

    A page ends early when it would be large; the `Link` header names the next one. An unknown
    status
    is answered with 400.

    Args:
        project_id (UUID):
        status_filter (HitlStatus | Unset):
        limit (int | Unset):
        cursor (UUID | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        project_id=project_id,
        client=client,
        status_filter=status_filter,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id: UUID,
    *,
    client: Client,
    status_filter: HitlStatus | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[HitlRequest]]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id=project_id,
        status_filter=status_filter,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    project_id: UUID,
    *,
    client: Client,
    status_filter: HitlStatus | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[HitlRequest]:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id=project_id,
            client=client,
            status_filter=status_filter,
            limit=limit,
            cursor=cursor,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
