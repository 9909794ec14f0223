from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.artifact_type import ArtifactType

T = TypeVar("T", bound="AssignedArtifact")


@_attrs_define
class AssignedArtifact:
    """Artifact of an assignment.

    Attributes:
        content (Any):
        id (UUID):
        name (str): Title of the content, or else the name of the type.
        type_ (ArtifactType):
    """

    content: Any
    id: UUID
    name: str
    type_: ArtifactType
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        content = self.content

        id = str(self.id)

        name = self.name

        type_ = self.type_.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "content": content,
                "id": id,
                "name": name,
                "type": type_,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        content = d.pop("content")

        id = UUID(d.pop("id"))

        name = d.pop("name")

        type_ = ArtifactType(d.pop("type"))

        assigned_artifact = cls(
            content=content,
            id=id,
            name=name,
            type_=type_,
        )

        assigned_artifact.additional_properties = d
        return assigned_artifact

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
