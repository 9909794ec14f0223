from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.issued_key_view import IssuedKeyView
from ...models.rotate_body import RotateBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    key_id: UUID,
    *,
    body: RotateBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/access/keys/{key_id}/rotate".format(
            key_id=quote(str(key_id), safe=""),
        ),
    }

    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> IssuedKeyView:
    if response.status_code == 201:
        response_201 = IssuedKeyView.from_dict(response.json())

        return response_201

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[IssuedKeyView]:
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
    body: RotateBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedKeyView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        key_id=key_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    key_id: UUID,
    *,
    client: Client,
    body: RotateBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedKeyView:
    """Creates a key that takes the place of another.

    It has the name and the grants of the old one, which works for a while longer, and its
    lifetime if
    none is given. The response has the
    secret, so it is not kept for a repetition. A key that was replaced already cannot be
    rotated (409).

    Args:
        key_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (RotateBody | Unset): Time for which the old key still works, and lifetime of the
            new one.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        key_id=key_id,
        client=client,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    key_id: UUID,
    *,
    client: Client,
    body: RotateBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedKeyView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        key_id=key_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    key_id: UUID,
    *,
    client: Client,
    body: RotateBody | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedKeyView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            key_id=key_id,
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
