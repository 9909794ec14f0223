from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.artifact import Artifact
from ...types import UNSET, Response, Unset


def _get_kwargs(
    context_id: UUID,
    *,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/context/{context_id}".format(
            context_id=quote(str(context_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> Artifact | None:
    if response.status_code == 200:
        response_200 = Artifact.from_dict(response.json())

        return response_200

    return None


def _build_response(response: httpx.Response) -> Response[Artifact | None]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    context_id: UUID,
    *,
    client: Client,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Artifact | None]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        context_id=context_id,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    context_id: UUID,
    *,
    client: Client,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Artifact | None:
    """Returns an artifact.

    Its `ETag` is the digest of its content.

    Args:
        context_id (UUID):
        if_none_match (None | str | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        context_id=context_id,
        client=client,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    context_id: UUID,
    *,
    client: Client,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Artifact | None]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        context_id=context_id,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    context_id: UUID,
    *,
    client: Client,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Artifact | None:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            context_id=context_id,
            client=client,
            if_none_match=if_none_match,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
