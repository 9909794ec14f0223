from http import HTTPStatus
from typing import Any

import httpx

from ....client import Client
from ...models.cleanup_view import CleanupView
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    max_age_hours: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    params: dict[str, Any] = {}

    params["max_age_hours"] = max_age_hours

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "delete",
        "url": "/api/v1/artifacts/cleanup-old",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> CleanupView:
    if response.status_code == 200:
        response_200 = CleanupView.from_dict(response.json())

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[CleanupView]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    *,
    client: Client,
    max_age_hours: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[CleanupView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        max_age_hours=max_age_hours,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    *,
    client: Client,
    max_age_hours: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> CleanupView:
    """Deletes old packages.

    Args:
        max_age_hours (int | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        client=client,
        max_age_hours=max_age_hours,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    *,
    client: Client,
    max_age_hours: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[CleanupView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        max_age_hours=max_age_hours,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    *,
    client: Client,
    max_age_hours: int | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> CleanupView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            client=client,
            max_age_hours=max_age_hours,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
