from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.delivery_kind import DeliveryKind

T = TypeVar("T", bound="WebhookDelivery")


@_attrs_define
class WebhookDelivery:
    """Attempt to deliver a message.

    Attributes:
        attempt (int): Number of the attempt for this entry, from 1.
        delivered (bool): Whether the receiver has taken the message.
        duration_ms (int): Duration in milliseconds.
        error (None | str): Reason for which it was not delivered; null if it was.
        event_type (str): Type of the message.
        http_status (int | None): Status of the response; null without one.
        id (UUID):
        kind (DeliveryKind):
        message_id (UUID): Id of the message, which is that of the entry.
        project_id (None | UUID): Project of the entry; null for the system log, and for a test.
        seq (int | None): Position of the entry in its log; null for a test.
        started_at (datetime.datetime):
    """

    attempt: int
    delivered: bool
    duration_ms: int
    error: None | str
    event_type: str
    http_status: int | None
    id: UUID
    kind: DeliveryKind
    message_id: UUID
    project_id: None | UUID
    seq: int | None
    started_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        attempt = self.attempt

        delivered = self.delivered

        duration_ms = self.duration_ms

        error: None | str
        error = self.error

        event_type = self.event_type

        http_status: int | None
        http_status = self.http_status

        id = str(self.id)

        kind = self.kind.value

        message_id = str(self.message_id)

        project_id: None | str
        if isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        seq: int | None
        seq = self.seq

        started_at = self.started_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "attempt": attempt,
                "delivered": delivered,
                "duration_ms": duration_ms,
                "error": error,
                "event_type": event_type,
                "http_status": http_status,
                "id": id,
                "kind": kind,
                "message_id": message_id,
                "project_id": project_id,
                "seq": seq,
                "started_at": started_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        attempt = d.pop("attempt")

        delivered = d.pop("delivered")

        duration_ms = d.pop("duration_ms")

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))

        event_type = d.pop("event_type")

        def _parse_http_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        http_status = _parse_http_status(d.pop("http_status"))

        id = UUID(d.pop("id"))

        kind = DeliveryKind(d.pop("kind"))

        message_id = UUID(d.pop("message_id"))

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

        def _parse_seq(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        seq = _parse_seq(d.pop("seq"))

        started_at = datetime.datetime.fromisoformat(d.pop("started_at").replace("Z", "+00:00"))

        webhook_delivery = cls(
            attempt=attempt,
            delivered=delivered,
            duration_ms=duration_ms,
            error=error,
            event_type=event_type,
            http_status=http_status,
            id=id,
            kind=kind,
            message_id=message_id,
            project_id=project_id,
            seq=seq,
            started_at=started_at,
        )

        webhook_delivery.additional_properties = d
        return webhook_delivery

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
