from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client
from ...models.issued_webhook_view import IssuedWebhookView
from ...models.new_webhook_body import NewWebhookBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: NewWebhookBody,
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
        "url": "/api/v1/webhooks",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> IssuedWebhookView:
    if response.status_code == 201:
        response_201 = IssuedWebhookView.from_dict(response.json())

        return response_201

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[IssuedWebhookView]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    body: NewWebhookBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedWebhookView]:
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
    body: NewWebhookBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedWebhookView:
    """Creates a subscription, which sends the entries that are committed from now on.

    The rights of the caller, who is the owner, limit the entries that are sent. The response
    has the secret, so
    it is not kept for a repetition: a repeated request creates another subscription.

    Args:
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (NewWebhookBody): Subscription to create.

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
    body: NewWebhookBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedWebhookView]:
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
    body: NewWebhookBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedWebhookView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
