from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.a2a_message_view import A2AMessageView


T = TypeVar("T", bound="A2AStatusView")


@_attrs_define
class A2AStatusView:
    """Status of a task of A2A.

    Attributes:
        message (A2AMessageView): Message of A2A.
        state (str): `TASK_STATE_INPUT_REQUIRED`.
        timestamp (datetime.datetime):
    """

    message: A2AMessageView
    state: str
    timestamp: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        message = self.message.to_dict()

        state = self.state

        timestamp = self.timestamp.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "message": message,
                "state": state,
                "timestamp": timestamp,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.a2a_message_view import A2AMessageView  # noqa: PLC0415

        d = dict(src_dict)
        message = A2AMessageView.from_dict(d.pop("message"))

        state = d.pop("state")

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp").replace("Z", "+00:00"))

        a2a_status_view = cls(
            message=message,
            state=state,
            timestamp=timestamp,
        )

        a2a_status_view.additional_properties = d
        return a2a_status_view

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
