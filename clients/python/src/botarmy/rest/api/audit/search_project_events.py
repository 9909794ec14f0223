import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx

from ....client import Client
from ...models.audit_event import AuditEvent
from ...models.event_source import EventSource
from ...models.event_type import EventType
from ...types import UNSET, Response, Unset


def _get_kwargs(
    project_id_path: UUID,
    *,
    project_id_query: UUID | Unset = UNSET,
    task_id: UUID | Unset = UNSET,
    hitl_request_id: UUID | Unset = UNSET,
    event_type: EventType | Unset = UNSET,
    event_source: EventSource | Unset = UNSET,
    start_date: datetime.date | datetime.datetime | Unset = UNSET,
    end_date: datetime.date | datetime.datetime | Unset = UNSET,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(x_request_id, Unset):
        headers["X-Request-Id"] = x_request_id

    if not isinstance(x_user_id, Unset):
        headers["X-User-Id"] = x_user_id

    params: dict[str, Any] = {}

    json_project_id_query: str | Unset = UNSET
    if not isinstance(project_id_query, Unset):
        json_project_id_query = str(project_id_query)
    params["project_id"] = json_project_id_query

    json_task_id: str | Unset = UNSET
    if not isinstance(task_id, Unset):
        json_task_id = str(task_id)
    params["task_id"] = json_task_id

    json_hitl_request_id: str | Unset = UNSET
    if not isinstance(hitl_request_id, Unset):
        json_hitl_request_id = str(hitl_request_id)
    params["hitl_request_id"] = json_hitl_request_id

    json_event_type: str | Unset = UNSET
    if not isinstance(event_type, Unset):
        json_event_type = event_type.value

    params["event_type"] = json_event_type

    json_event_source: str | Unset = UNSET
    if not isinstance(event_source, Unset):
        json_event_source = event_source.value

    params["event_source"] = json_event_source

    json_start_date: str | Unset
    if isinstance(start_date, Unset):
        json_start_date = UNSET
    elif isinstance(start_date, datetime.datetime):
        json_start_date = start_date.isoformat()
    else:
        json_start_date = start_date.isoformat()

    params["start_date"] = json_start_date

    json_end_date: str | Unset
    if isinstance(end_date, Unset):
        json_end_date = UNSET
    elif isinstance(end_date, datetime.datetime):
        json_end_date = end_date.isoformat()
    else:
        json_end_date = end_date.isoformat()

    params["end_date"] = json_end_date

    params["limit"] = limit

    params["offset"] = offset

    json_cursor: str | Unset = UNSET
    if not isinstance(cursor, Unset):
        json_cursor = str(cursor)
    params["cursor"] = json_cursor

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/v1/audit/projects/{project_id_path}/events".format(
            project_id_path=quote(str(project_id_path), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(response: httpx.Response) -> list[AuditEvent]:
    if response.status_code == 200:
        response_200 = []
        _response_200 = response.json()
        for response_200_item_data in _response_200:
            response_200_item = AuditEvent.from_dict(response_200_item_data)

            response_200.append(response_200_item)

        return response_200

    raise ValueError(f"The status {response.status_code} is not one that this operation has.")


def _build_response(response: httpx.Response) -> Response[list[AuditEvent]]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(response),
    )


def sync_detailed(
    project_id_path: UUID,
    *,
    client: Client,
    project_id_query: UUID | Unset = UNSET,
    task_id: UUID | Unset = UNSET,
    hitl_request_id: UUID | Unset = UNSET,
    event_type: EventType | Unset = UNSET,
    event_source: EventSource | Unset = UNSET,
    start_date: datetime.date | datetime.datetime | Unset = UNSET,
    end_date: datetime.date | datetime.datetime | Unset = UNSET,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[AuditEvent]]:
    """Like `sync`, and returns the status and the headers, too."""
    kwargs = _get_kwargs(
        project_id_path=project_id_path,
        project_id_query=project_id_query,
        task_id=task_id,
        hitl_request_id=hitl_request_id,
        event_type=event_type,
        event_source=event_source,
        start_date=start_date,
        end_date=end_date,
        limit=limit,
        offset=offset,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(client.request(**kwargs))


def sync(
    project_id_path: UUID,
    *,
    client: Client,
    project_id_query: UUID | Unset = UNSET,
    task_id: UUID | Unset = UNSET,
    hitl_request_id: UUID | Unset = UNSET,
    event_type: EventType | Unset = UNSET,
    event_source: EventSource | Unset = UNSET,
    start_date: datetime.date | datetime.datetime | Unset = UNSET,
    end_date: datetime.date | datetime.datetime | Unset = UNSET,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[AuditEvent]:
    """Searches the log of a project, newest entries first.

    A page ends early when it would be large; the `Link` header names the next one.

    Args:
        project_id_path (UUID):
        project_id_query (UUID | Unset):
        task_id (UUID | Unset):
        hitl_request_id (UUID | Unset):
        event_type (EventType | Unset):
        event_source (EventSource | Unset):
        start_date (datetime.date | datetime.datetime | Unset):
        end_date (datetime.date | datetime.datetime | Unset):
        limit (int | Unset):
        offset (int | Unset):
        cursor (UUID | Unset):
        x_request_id (str | Unset):
        x_user_id (str | Unset):

    Raises:
        botarmy.ProblemError: If the server reports an error.
        httpx.TransportError: If the server cannot be reached.
    """
    return sync_detailed(
        project_id_path=project_id_path,
        client=client,
        project_id_query=project_id_query,
        task_id=task_id,
        hitl_request_id=hitl_request_id,
        event_type=event_type,
        event_source=event_source,
        start_date=start_date,
        end_date=end_date,
        limit=limit,
        offset=offset,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    ).parsed


async def asyncio_detailed(
    project_id_path: UUID,
    *,
    client: Client,
    project_id_query: UUID | Unset = UNSET,
    task_id: UUID | Unset = UNSET,
    hitl_request_id: UUID | Unset = UNSET,
    event_type: EventType | Unset = UNSET,
    event_source: EventSource | Unset = UNSET,
    start_date: datetime.date | datetime.datetime | Unset = UNSET,
    end_date: datetime.date | datetime.datetime | Unset = UNSET,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> Response[list[AuditEvent]]:
    """Like `sync_detailed`, for asynchronous programs."""
    kwargs = _get_kwargs(
        project_id_path=project_id_path,
        project_id_query=project_id_query,
        task_id=task_id,
        hitl_request_id=hitl_request_id,
        event_type=event_type,
        event_source=event_source,
        start_date=start_date,
        end_date=end_date,
        limit=limit,
        offset=offset,
        cursor=cursor,
        x_request_id=x_request_id,
        x_user_id=x_user_id,
    )
    return _build_response(await client.request_async(**kwargs))


async def asyncio(
    project_id_path: UUID,
    *,
    client: Client,
    project_id_query: UUID | Unset = UNSET,
    task_id: UUID | Unset = UNSET,
    hitl_request_id: UUID | Unset = UNSET,
    event_type: EventType | Unset = UNSET,
    event_source: EventSource | Unset = UNSET,
    start_date: datetime.date | datetime.datetime | Unset = UNSET,
    end_date: datetime.date | datetime.datetime | Unset = UNSET,
    limit: int | Unset = UNSET,
    offset: int | Unset = UNSET,
    cursor: UUID | Unset = UNSET,
    x_request_id: str | Unset = UNSET,
    x_user_id: str | Unset = UNSET,
) -> list[AuditEvent]:
    """Like `sync`, for asynchronous programs."""
    return (
        await asyncio_detailed(
            project_id_path=project_id_path,
            client=client,
            project_id_query=project_id_query,
            task_id=task_id,
            hitl_request_id=hitl_request_id,
            event_type=event_type,
            event_source=event_source,
            start_date=start_date,
            end_date=end_date,
            limit=limit,
            offset=offset,
            cursor=cursor,
            x_request_id=x_request_id,
            x_user_id=x_user_id,
        )
    ).parsed
