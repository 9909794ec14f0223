from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from ....client import Client
from ...models.request_page import RequestPage
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    mine: bool | Unset = UNSET,
    group: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    overdue: bool | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
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

    params["mine"] = mine

    params["group"] = group

    params["policy"] = policy

    params["overdue"] = overdue

    json_project_id: str | Unset = UNSET
    if not isinstance(project_id, Unset):
        json_project_id = str(project_id)
    params["project_id"] = json_project_id

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/hitl/pending",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> RequestPage:
    if response.status_code == 200:
        response_200 = RequestPage.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[RequestPage]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    mine: bool | Unset = UNSET,
    group: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    overdue: bool | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[RequestPage]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        mine=mine,
        group=group,
        policy=policy,
        overdue=overdue,
        project_id=project_id,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    mine: bool | Unset = UNSET,
    group: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    overdue: bool | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> RequestPage:
    """Lists pending requests, oldest first.

    Without a filter these are the pending requests of all projects. Several filters select the
    requests
    that pass all of them.

    Args:
        mine (bool | Unset):
        group (str | Unset):
        policy (str | Unset):
        overdue (bool | Unset):
        project_id (UUID | Unset):
        limit (int | Unset):
        cursor (UUID | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        mine=mine,
        group=group,
        policy=policy,
        overdue=overdue,
        project_id=project_id,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    mine: bool | Unset = UNSET,
    group: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    overdue: bool | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[RequestPage]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        mine=mine,
        group=group,
        policy=policy,
        overdue=overdue,
        project_id=project_id,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    mine: bool | Unset = UNSET,
    group: str | Unset = UNSET,
    policy: str | Unset = UNSET,
    overdue: bool | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> RequestPage:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            mine=mine,
            group=group,
            policy=policy,
            overdue=overdue,
            project_id=project_id,
            limit=limit,
            cursor=cursor,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
