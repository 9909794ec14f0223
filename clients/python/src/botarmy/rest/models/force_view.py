from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.project_status import ProjectStatus

T = TypeVar("T", bound="ForceView")


@_attrs_define
class ForceView:
    """Completed project.

    Attributes:
        message (str):
        overridden (list[str]): Conditions that were not met and were overridden, a sentence each.
        project_id (UUID):
        status (ProjectStatus):
    """

    message: str
    overridden: list[str]
    project_id: UUID
    status: ProjectStatus
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        message = self.message

        overridden = self.overridden

        project_id = str(self.project_id)

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "message": message,
                "overridden": overridden,
                "project_id": project_id,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        message = d.pop("message")

        overridden = cast(list[str], d.pop("overridden"))

        project_id = UUID(d.pop("project_id"))

        status = ProjectStatus(d.pop("status"))

        force_view = cls(
            message=message,
            overridden=overridden,
            project_id=project_id,
            status=status,
        )

        force_view.additional_properties = d
        return force_view

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
