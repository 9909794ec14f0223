from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.ready_view_status import ReadyViewStatus

T = TypeVar("T", bound="ReadyView")


@_attrs_define
class ReadyView:
    """Readiness of the server.

    Attributes:
        failing (list[str]): Needed components that are unhealthy.
        message (str): The same in a sentence.
        status (ReadyViewStatus): `ready` or `not_ready`.
    """

    failing: list[str]
    message: str
    status: ReadyViewStatus
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        failing = self.failing

        message = self.message

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "failing": failing,
                "message": message,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        failing = cast(list[str], d.pop("failing"))

        message = d.pop("message")

        status = ReadyViewStatus(d.pop("status"))

        ready_view = cls(
            failing=failing,
            message=message,
            status=status,
        )

        ready_view.additional_properties = d
        return ready_view

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
