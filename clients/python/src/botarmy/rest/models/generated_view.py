from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.generated_view_status import GeneratedViewStatus

T = TypeVar("T", bound="GeneratedView")


@_attrs_define
class GeneratedView:
    """Result of building a package.

    Attributes:
        artifact_count (int): Number of files in the package.
        message (str):
        project_id (UUID):
        status (GeneratedViewStatus): Always `success`.
    """

    artifact_count: int
    message: str
    project_id: UUID
    status: GeneratedViewStatus
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifact_count = self.artifact_count

        message = self.message

        project_id = str(self.project_id)

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifact_count": artifact_count,
                "message": message,
                "project_id": project_id,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        artifact_count = d.pop("artifact_count")

        message = d.pop("message")

        project_id = UUID(d.pop("project_id"))

        status = GeneratedViewStatus(d.pop("status"))

        generated_view = cls(
            artifact_count=artifact_count,
            message=message,
            project_id=project_id,
            status=status,
        )

        generated_view.additional_properties = d
        return generated_view

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
