from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client
from ...models.new_principal_body import NewPrincipalBody
from ...models.principal import Principal
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: NewPrincipalBody,
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
        "url": "/api/v1/access/principals",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> Principal:
    if response.status_code == 201:
        response_201 = Principal.from_dict(response.json())

        return response_201

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[Principal]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    body: NewPrincipalBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Principal]:
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
    body: NewPrincipalBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Principal:
    """Creates a principal.

    Its grants are such as the caller holds. It has no key yet. The name of a principal is taken
    for
    ever, so a repetition is refused (409).

    Args:
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (NewPrincipalBody): Principal to create.

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
    body: NewPrincipalBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Principal]:
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
    body: NewPrincipalBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Principal:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
