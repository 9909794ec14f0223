from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.event_source import EventSource
from ..models.event_type import EventType

T = TypeVar("T", bound="AuditEvent")


@_attrs_define
class AuditEvent:
    """Entry of a log.

    Attributes:
        created_at (datetime.datetime):
        event_data (Any): Data of the event.
        event_metadata (Any): Origin of the event: `actor` and, where they are known, `request_id`, `via`, `principal`,
            `auth`,
            `credential` and `claimed_user`.
        event_source (EventSource):
        event_type (EventType):
        hash_ (str): SHA-256 over the canonical JSON of the fields above and the hash of the entry before, in
            hexadecimal.
        hitl_request_id (None | UUID):
        id (UUID):
        project_id (None | UUID):
        seq (int): Position in its log: 1, 2, 3, …
        task_id (None | UUID):
    """

    created_at: datetime.datetime
    event_data: Any
    event_metadata: Any
    event_source: EventSource
    event_type: EventType
    hash_: str
    hitl_request_id: None | UUID
    id: UUID
    project_id: None | UUID
    seq: int
    task_id: None | UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat()

        event_data = self.event_data

        event_metadata = self.event_metadata

        event_source = self.event_source.value

        event_type = self.event_type.value

        hash_ = self.hash_

        hitl_request_id: None | str
        if isinstance(self.hitl_request_id, UUID):
            hitl_request_id = str(self.hitl_request_id)
        else:
            hitl_request_id = self.hitl_request_id

        id = str(self.id)

        project_id: None | str
        if isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        seq = self.seq

        task_id: None | str
        if isinstance(self.task_id, UUID):
            task_id = str(self.task_id)
        else:
            task_id = self.task_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "event_data": event_data,
                "event_metadata": event_metadata,
                "event_source": event_source,
                "event_type": event_type,
                "hash": hash_,
                "hitl_request_id": hitl_request_id,
                "id": id,
                "project_id": project_id,
                "seq": seq,
                "task_id": task_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        event_data = d.pop("event_data")

        event_metadata = d.pop("event_metadata")

        event_source = EventSource(d.pop("event_source"))

        event_type = EventType(d.pop("event_type"))

        hash_ = d.pop("hash")

        def _parse_hitl_request_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                hitl_request_id_type_0 = UUID(data)

                return hitl_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        hitl_request_id = _parse_hitl_request_id(d.pop("hitl_request_id"))

        id = UUID(d.pop("id"))

        def _parse_project_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        project_id = _parse_project_id(d.pop("project_id"))

        seq = d.pop("seq")

        def _parse_task_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                task_id_type_0 = UUID(data)

                return task_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        task_id = _parse_task_id(d.pop("task_id"))

        audit_event = cls(
            created_at=created_at,
            event_data=event_data,
            event_metadata=event_metadata,
            event_source=event_source,
            event_type=event_type,
            hash_=hash_,
            hitl_request_id=hitl_request_id,
            id=id,
            project_id=project_id,
            seq=seq,
            task_id=task_id,
        )

        audit_event.additional_properties = d
        return audit_event

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
