from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client, new_idempotency_key
from ...models.bulk_items import BulkItems
from ...models.bulk_request_ids import BulkRequestIds
from ...models.bulk_view import BulkView
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    body: BulkItems | BulkRequestIds,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    headers.setdefault("Idempotency-Key", new_idempotency_key())

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/v1/hitl/bulk/respond",
    }

    if isinstance(body, BulkRequestIds):
        _kwargs["json"] = body.to_dict()
    else:
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> BulkView:
    if response.status_code == 200:
        response_200 = BulkView.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[BulkView]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    body: BulkItems | BulkRequestIds,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[BulkView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    body: BulkItems | BulkRequestIds,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> BulkView:
    """Approves or rejects the subjects of many requests, or asks for changes.

    Every request is decided on its own: one that is refused changes nothing for the others.
    With an
    `Idempotency-Key`, each decision is taken once; a repetition replays those that were taken,
    and
    tries again what was refused.

    Args:
        idempotency_key (str | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (BulkItems | BulkRequestIds): Answers to many requests.

            Exactly one of the two lists is given. The document describes each alternative as a
            schema.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        body=body,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    body: BulkItems | BulkRequestIds,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[BulkView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        body=body,
        idempotency_key=idempotency_key,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    body: BulkItems | BulkRequestIds,
    idempotency_key: str | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> BulkView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            body=body,
            idempotency_key=idempotency_key,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
