from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.message_view import MessageView
from ...types import UNSET, Response, Unset


def _get_kwargs(
    project_id: UUID,
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
        "method": "delete",
        "url": "/api/v1/artifacts/{project_id}/artifacts".format(
            project_id=quote(str(project_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> MessageView:
    if response.status_code == 200:
        response_200 = MessageView.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[MessageView]:
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
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[MessageView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id=project_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    project_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> MessageView:
    """Deletes the package of a project.

    The artifacts stay, so the package can be built again.

    Args:
        project_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        project_id=project_id,
        client=client,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[MessageView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id=project_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    project_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> MessageView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id=project_id,
            client=client,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
