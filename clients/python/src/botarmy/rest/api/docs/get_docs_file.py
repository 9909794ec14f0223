from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import quote

import httpx

from ....client import Client
from ...types import UNSET, File, Response, Unset


def _get_kwargs(
    file: str,
    *,
    x_request_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/docs/{file}".format(
            file=quote(str(file), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> File:
    if response.status_code == 200:
        response_200 = File(payload=BytesIO(response.content))

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[File]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    file: str,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
) -> Response[File]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        file=file,
        x_request_id=x_request_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    file: str,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
) -> File:
    """Returns a file of the documentation page.

    Args:
        file (str):
        x_request_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        file=file,
        client=client,
        x_request_id=x_request_id,
    ).parsed


async def asyncio_detailed(
    file: str,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
) -> Response[File]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        file=file,
        x_request_id=x_request_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    file: str,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
) -> File:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            file=file,
            client=client,
            x_request_id=x_request_id,
        )
    ).parsed
