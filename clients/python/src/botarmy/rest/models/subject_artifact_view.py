from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.artifact_type import ArtifactType

T = TypeVar("T", bound="SubjectArtifactView")


@_attrs_define
class SubjectArtifactView:
    """Artifact under review.

    Attributes:
        artifact_type (ArtifactType):
        context_id (UUID):
        digest (str):
    """

    artifact_type: ArtifactType
    context_id: UUID
    digest: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifact_type = self.artifact_type.value

        context_id = str(self.context_id)

        digest = self.digest

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifact_type": artifact_type,
                "context_id": context_id,
                "digest": digest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        artifact_type = ArtifactType(d.pop("artifact_type"))

        context_id = UUID(d.pop("context_id"))

        digest = d.pop("digest")

        subject_artifact_view = cls(
            artifact_type=artifact_type,
            context_id=context_id,
            digest=digest,
        )

        subject_artifact_view.additional_properties = d
        return subject_artifact_view

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
