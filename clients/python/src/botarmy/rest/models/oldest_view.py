from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="OldestView")


@_attrs_define
class OldestView:
    """Pending request that waits longest.

    Attributes:
        created_at (datetime.datetime):
        project_id (UUID):
        request_id (UUID):
    """

    created_at: datetime.datetime
    project_id: UUID
    request_id: UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat()

        project_id = str(self.project_id)

        request_id = str(self.request_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "project_id": project_id,
                "request_id": request_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        project_id = UUID(d.pop("project_id"))

        request_id = UUID(d.pop("request_id"))

        oldest_view = cls(
            created_at=created_at,
            project_id=project_id,
            request_id=request_id,
        )

        oldest_view.additional_properties = d
        return oldest_view

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
