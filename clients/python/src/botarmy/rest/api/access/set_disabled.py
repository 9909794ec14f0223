from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.disabled_body import DisabledBody
from ...models.principal import Principal
from ...types import UNSET, Response, Unset


def _get_kwargs(
    principal_id: UUID,
    *,
    body: DisabledBody,
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
        "url": "/api/v1/access/principals/{principal_id}/disabled".format(
            principal_id=quote(str(principal_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> Principal:
    if response.status_code == 200:
        response_200 = Principal.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[Principal]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    principal_id: UUID,
    *,
    client: Client,
    body: DisabledBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Principal]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        principal_id=principal_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    principal_id: UUID,
    *,
    client: Client,
    body: DisabledBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Principal:
    """Disables a principal, or enables it again.

    Its credentials are refused within a second, and the sessions of a person end for good. The
    last
    administrator with a valid key cannot be disabled (409).

    Args:
        principal_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (DisabledBody): Whether a principal is disabled.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        principal_id=principal_id,
        client=client,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    principal_id: UUID,
    *,
    client: Client,
    body: DisabledBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[Principal]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        principal_id=principal_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    principal_id: UUID,
    *,
    client: Client,
    body: DisabledBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Principal:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            principal_id=principal_id,
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
