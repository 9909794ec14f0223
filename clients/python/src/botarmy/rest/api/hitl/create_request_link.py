from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.issued_link_view import IssuedLinkView
from ...models.new_answer_link_body import NewAnswerLinkBody
from ...types import UNSET, Response, Unset


def _get_kwargs(
    request_id: UUID,
    *,
    body: NewAnswerLinkBody,
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
        "url": "/api/v1/hitl/{request_id}/links".format(
            request_id=quote(str(request_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> IssuedLinkView:
    if response.status_code == 201:
        response_201 = IssuedLinkView.from_dict(response.json())

        return response_201

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[IssuedLinkView]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    request_id: UUID,
    *,
    client: Client,
    body: NewAnswerLinkBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedLinkView]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        request_id=request_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    request_id: UUID,
    *,
    client: Client,
    body: NewAnswerLinkBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedLinkView:
    """Makes a link with which one person answers a request as it is now, once, without signing in.

    The policy must allow links, and the server must have a public address. The response has the
    secret,
    so it is not kept for a repetition: a repeated request makes another link.

    Args:
        request_id (UUID):
        x_request_id (str | Unset):
        x_user_id (str | Unset):
        body (NewAnswerLinkBody): Link to make.

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        request_id=request_id,
        client=client,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    request_id: UUID,
    *,
    client: Client,
    body: NewAnswerLinkBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[IssuedLinkView]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        request_id=request_id,
        body=body,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    request_id: UUID,
    *,
    client: Client,
    body: NewAnswerLinkBody,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> IssuedLinkView:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            request_id=request_id,
            client=client,
            body=body,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
