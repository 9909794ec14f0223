from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.artifact_type import ArtifactType
from ..types import UNSET, Unset

T = TypeVar("T", bound="MadeArtifact")


@_attrs_define
class MadeArtifact:
    """Artifact of a result.

    Attributes:
        artifact_type (ArtifactType):
        content (Any):
        artifact_metadata (Any | Unset):
    """

    artifact_type: ArtifactType
    content: Any
    artifact_metadata: Any | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        artifact_type = self.artifact_type.value

        content = self.content

        artifact_metadata = self.artifact_metadata

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "artifact_type": artifact_type,
                "content": content,
            }
        )
        if artifact_metadata is not UNSET:
            field_dict["artifact_metadata"] = artifact_metadata

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        artifact_type = ArtifactType(d.pop("artifact_type"))

        content = d.pop("content")

        artifact_metadata = d.pop("artifact_metadata", UNSET)

        made_artifact = cls(
            artifact_type=artifact_type,
            content=content,
            artifact_metadata=artifact_metadata,
        )

        return made_artifact
