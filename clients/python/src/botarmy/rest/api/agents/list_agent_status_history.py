from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ....client import Client
from ...models.agent_history_line import AgentHistoryLine
from ...models.agent_type import AgentType
from ...types import UNSET, Response, Unset


def _get_kwargs(
    agent_type: AgentType,
    *,
    limit: int | Unset = UNSET,
    cursor: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    params: dict[str, Any] = {}

    params["limit"] = limit

    params["cursor"] = cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/agents/status-history/{agent_type}".format(
            agent_type=quote(str(agent_type), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> list[AgentHistoryLine]:
    if response.status_code == 200:
        response_200 = []
        _response_200 = response.json()
        for response_200_item_data in _response_200:
            response_200_item = AgentHistoryLine.from_dict(response_200_item_data)

            response_200.append(response_200_item)

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[list[AgentHistoryLine]]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    agent_type: AgentType,
    *,
    client: Client,
    limit: int | Unset = UNSET,
    cursor: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[AgentHistoryLine]]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        agent_type=agent_type,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    agent_type: AgentType,
    *,
    client: Client,
    limit: int | Unset = UNSET,
    cursor: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[AgentHistoryLine]:
    """Returns the earlier statuses of an agent type, newest first.

    A page ends early when it would be large; the `Link` header names the next one.

    Args:
        agent_type (AgentType):
        limit (int | Unset):
        cursor (int | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        agent_type=agent_type,
        client=client,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    agent_type: AgentType,
    *,
    client: Client,
    limit: int | Unset = UNSET,
    cursor: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[AgentHistoryLine]]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        agent_type=agent_type,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    agent_type: AgentType,
    *,
    client: Client,
    limit: int | Unset = UNSET,
    cursor: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[AgentHistoryLine]:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            agent_type=agent_type,
            client=client,
            limit=limit,
            cursor=cursor,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
