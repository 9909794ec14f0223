from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.file_view import FileView


T = TypeVar("T", bound="SummaryView")


@_attrs_define
class SummaryView:
    """Description of a package.

    Attributes:
        artifact_count (int): Number of files in the package.
        artifacts (list[FileView]): Files of the package or, without one, of the package that would be made now.
        download_available (bool): Whether the package exists; a download builds a missing one.
        generated_at (datetime.datetime | None): Time at which the package was built; null without one.
        project_id (UUID):
        project_name (str):
    """

    artifact_count: int
    artifacts: list[FileView]
    download_available: bool
    generated_at: datetime.datetime | None
    project_id: UUID
    project_name: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifact_count = self.artifact_count

        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = artifacts_item_data.to_dict()
            artifacts.append(artifacts_item)

        download_available = self.download_available

        generated_at: None | str
        if isinstance(self.generated_at, datetime.datetime):
            generated_at = self.generated_at.isoformat()
        else:
            generated_at = self.generated_at

        project_id = str(self.project_id)

        project_name = self.project_name

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifact_count": artifact_count,
                "artifacts": artifacts,
                "download_available": download_available,
                "generated_at": generated_at,
                "project_id": project_id,
                "project_name": project_name,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.file_view import FileView  # noqa: PLC0415

        d = dict(src_dict)
        artifact_count = d.pop("artifact_count")

        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = FileView.from_dict(artifacts_item_data)

            artifacts.append(artifacts_item)

        download_available = d.pop("download_available")

        def _parse_generated_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                generated_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return generated_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        generated_at = _parse_generated_at(d.pop("generated_at"))

        project_id = UUID(d.pop("project_id"))

        project_name = d.pop("project_name")

        summary_view = cls(
            artifact_count=artifact_count,
            artifacts=artifacts,
            download_available=download_available,
            generated_at=generated_at,
            project_id=project_id,
            project_name=project_name,
        )

        summary_view.additional_properties = d
        return summary_view

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
