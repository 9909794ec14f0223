from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.agent_type import AgentType
from ...models.artifact_page import ArtifactPage
from ...models.artifact_type import ArtifactType
from ...types import UNSET, Response, Unset


def _get_kwargs(
    project_id: UUID,
    *,
    artifact_type: ArtifactType | Unset = UNSET,
    source_agent: AgentType | Unset = UNSET,
    content: bool | Unset = UNSET,
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

    json_artifact_type: str | Unset = UNSET
    if not isinstance(artifact_type, Unset):
        json_artifact_type = artifact_type.value

    params["artifact_type"] = json_artifact_type

    json_source_agent: str | Unset = UNSET
    if not isinstance(source_agent, Unset):
        json_source_agent = source_agent.value

    params["source_agent"] = json_source_agent

    params["content"] = content

    params["limit"] = limit

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/context/project/{project_id}".format(
            project_id=quote(str(project_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> ArtifactPage:
    if response.status_code == 200:
        response_200 = ArtifactPage.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[ArtifactPage]:
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
    artifact_type: ArtifactType | Unset = UNSET,
    source_agent: AgentType | Unset = UNSET,
    content: bool | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[ArtifactPage]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id=project_id,
        artifact_type=artifact_type,
        source_agent=source_agent,
        content=content,
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
    artifact_type: ArtifactType | Unset = UNSET,
    source_agent: AgentType | Unset = UNSET,
    content: bool | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> ArtifactPage:
    """Lists the artifacts of a project, oldest first.

    The items have no content unless it is asked for. A page ends early when it would be large.

    Args:
        project_id (UUID):
        artifact_type (ArtifactType | Unset):
        source_agent (AgentType | Unset):
        content (bool | Unset):
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
        artifact_type=artifact_type,
        source_agent=source_agent,
        content=content,
        limit=limit,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id: UUID,
    *,
    client: Client,
    artifact_type: ArtifactType | Unset = UNSET,
    source_agent: AgentType | Unset = UNSET,
    content: bool | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[ArtifactPage]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id=project_id,
        artifact_type=artifact_type,
        source_agent=source_agent,
        content=content,
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
    artifact_type: ArtifactType | Unset = UNSET,
    source_agent: AgentType | Unset = UNSET,
    content: bool | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> ArtifactPage:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id=project_id,
            client=client,
            artifact_type=artifact_type,
            source_agent=source_agent,
            content=content,
            limit=limit,
            cursor=cursor,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
