from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="CheckView")


@_attrs_define
class CheckView:
    """Result of a check of the completion.

    Attributes:
        is_complete (bool):
        message (str):
        project_id (UUID):
        unmet (list[str]): Conditions that are not met, a sentence each.
    """

    is_complete: bool
    message: str
    project_id: UUID
    unmet: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        is_complete = self.is_complete

        message = self.message

        project_id = str(self.project_id)

        unmet = self.unmet

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "is_complete": is_complete,
                "message": message,
                "project_id": project_id,
                "unmet": unmet,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        is_complete = d.pop("is_complete")

        message = d.pop("message")

        project_id = UUID(d.pop("project_id"))

        unmet = cast(list[str], d.pop("unmet"))

        check_view = cls(
            is_complete=is_complete,
            message=message,
            project_id=project_id,
            unmet=unmet,
        )

        check_view.additional_properties = d
        return check_view

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
