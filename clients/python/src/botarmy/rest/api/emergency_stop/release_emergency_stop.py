from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from ....client import Client
from ...models.agent_type import AgentType
from ...models.release_emergency_stop_scope import ReleaseEmergencyStopScope
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    scope: ReleaseEmergencyStopScope,
    agent_type: AgentType | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    reason: str,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    params: dict[str, Any] = {}

    json_scope = scope.value
    params["scope"] = json_scope

    json_agent_type: str | Unset = UNSET
    if not isinstance(agent_type, Unset):
        json_agent_type = agent_type.value

    params["agent_type"] = json_agent_type

    json_project_id: str | Unset = UNSET
    if not isinstance(project_id, Unset):
        json_project_id = str(project_id)
    params["project_id"] = json_project_id

    params["reason"] = reason

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/api/v1/emergency-stop",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _build_response(response: httpx.Response) -> Response[None]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=None,
    )


def sync_detailed(
    *,
    client: Client,
    scope: ReleaseEmergencyStopScope,
    agent_type: AgentType | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    reason: str,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[None]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        scope=scope,
        agent_type=agent_type,
        project_id=project_id,
        reason=reason,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    scope: ReleaseEmergencyStopScope,
    agent_type: AgentType | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    reason: str,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> None:
    """Releases an emergency stop.

    Args:
        scope (ReleaseEmergencyStopScope): Scope of an emergency stop.
        agent_type (AgentType | Unset):
        project_id (UUID | Unset):
        reason (str):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        scope=scope,
        agent_type=agent_type,
        project_id=project_id,
        reason=reason,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    scope: ReleaseEmergencyStopScope,
    agent_type: AgentType | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    reason: str,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[None]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        scope=scope,
        agent_type=agent_type,
        project_id=project_id,
        reason=reason,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    scope: ReleaseEmergencyStopScope,
    agent_type: AgentType | Unset = UNSET,
    project_id: UUID | Unset = UNSET,
    reason: str,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> None:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            scope=scope,
            agent_type=agent_type,
            project_id=project_id,
            reason=reason,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
