from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client
from ...models.issued_key_view import IssuedKeyView
from ...models.new_key_body import NewKeyBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: NewKeyBody,
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
        "url": "/api/v1/access/keys",
    }

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
    *,
    client: Client,
    body: NewKeyBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedKeyView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    body: NewKeyBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedKeyView:
    """Creates a key for a principal.

    The response has the secret, so it is not kept for a repetition: a repeated request creates
    another
    key. A key whose response was lost is revoked.

    Args:
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (NewKeyBody): Key to create.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    body: NewKeyBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedKeyView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    body: NewKeyBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedKeyView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
