from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.api_key import ApiKey
from ...types import UNSET, Response, Unset


def _get_kwargs(
    key_id: UUID,
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
        "url": "/api/v1/access/keys/{key_id}".format(
            key_id=quote(str(key_id), safe=""),
        ),
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> ApiKey:
    if response.status_code == 200:
        response_200 = ApiKey.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[ApiKey]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    key_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[ApiKey]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        key_id=key_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    key_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> ApiKey:
    """Revokes a key for ever. It is refused within a second, by every server.

    One that was revoked already stays as it is. The last one with which an administrator can
    manage
    access is not revoked (409): create another key first, or rotate it.

    Args:
        key_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        key_id=key_id,
        client=client,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    key_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[ApiKey]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        key_id=key_id,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    key_id: UUID,
    *,
    client: Client,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> ApiKey:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            key_id=key_id,
            client=client,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
