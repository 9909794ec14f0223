from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...types import UNSET, File, Response, Unset


def _get_kwargs(
    project_id: UUID,
    *,
    range_: None | str | Unset = UNSET,
    if_range: None | str | Unset = UNSET,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(range_, Unset):
        headers["Range"] = range_

    if not isinstance(if_range, Unset):
        headers["If-Range"] = if_range

    if not isinstance(if_none_match, Unset):
        headers["If-None-Match"] = if_none_match

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/artifacts/{project_id}/download".format(
            project_id=quote(str(project_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> File | None:
    if response.status_code == 200:
        response_200 = File(payload=BytesIO(response.content))

        return response_200

    if response.status_code == 206:
        response_206 = File(payload=BytesIO(response.content))

        return response_206

    return None


def _build_response(response: httpx.Response) -> Response[File | None]:
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
    range_: None | str | Unset = UNSET,
    if_range: None | str | Unset = UNSET,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[File | None]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id=project_id,
        range_=range_,
        if_range=if_range,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    project_id: UUID,
    *,
    client: Client,
    range_: None | str | Unset = UNSET,
    if_range: None | str | Unset = UNSET,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> File | None:
    """Downloads the package of a project as a ZIP archive, and builds it if it does not exist.

    Args:
        project_id (UUID):
        range_ (None | str | Unset):
        if_range (None | str | Unset):
        if_none_match (None | str | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        project_id=project_id,
        client=client,
        range_=range_,
        if_range=if_range,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id: UUID,
    *,
    client: Client,
    range_: None | str | Unset = UNSET,
    if_range: None | str | Unset = UNSET,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[File | None]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id=project_id,
        range_=range_,
        if_range=if_range,
        if_none_match=if_none_match,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    project_id: UUID,
    *,
    client: Client,
    range_: None | str | Unset = UNSET,
    if_range: None | str | Unset = UNSET,
    if_none_match: None | str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> File | None:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id=project_id,
            client=client,
            range_=range_,
            if_range=if_range,
            if_none_match=if_none_match,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
