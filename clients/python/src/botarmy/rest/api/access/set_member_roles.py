from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.member import Member
from ...models.member_roles_body import MemberRolesBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    project_id: UUID,
    principal_id: UUID,
    *,
    body: MemberRolesBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/api/v1/projects/{project_id}/members/{principal_id}".format(
            project_id=quote(str(project_id), safe=""),
            principal_id=quote(str(principal_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> Member:
    if response.status_code == 200:
        response_200 = Member.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[Member]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    project_id: UUID,
    principal_id: UUID,
    *,
    client: Client,
    body: MemberRolesBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Member]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id=project_id,
        principal_id=principal_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    project_id: UUID,
    principal_id: UUID,
    *,
    client: Client,
    body: MemberRolesBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Member:
    """Sets the roles that a principal has on a project, in place of those that it has there by
    name.

    A role that is new is one that the caller holds on the project, or `worker`. The other
    grants of the
    principal stay as they are. A principal that is no member yet is named by its id, which
    `GET /api/v1/access/me` tells it.

    Args:
        project_id (UUID):
        principal_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (MemberRolesBody): Roles of a member.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        project_id=project_id,
        principal_id=principal_id,
        client=client,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id: UUID,
    principal_id: UUID,
    *,
    client: Client,
    body: MemberRolesBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Member]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id=project_id,
        principal_id=principal_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    project_id: UUID,
    principal_id: UUID,
    *,
    client: Client,
    body: MemberRolesBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Member:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id=project_id,
            principal_id=principal_id,
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
