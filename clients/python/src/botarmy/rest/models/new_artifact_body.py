from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..models.agent_type import AgentType
from ..models.artifact_type import ArtifactType
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewArtifactBody")


@_attrs_define
class NewArtifactBody:
    """Request for a new artifact.

    Attributes:
        artifact_type (ArtifactType):
        content (Any):
        project_id (UUID):
        source_agent (AgentType):
        artifact_metadata (Any | Unset):
    """

    artifact_type: ArtifactType
    content: Any
    project_id: UUID
    source_agent: AgentType
    artifact_metadata: Any | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        artifact_type = self.artifact_type.value

        content = self.content

        project_id = str(self.project_id)

        source_agent = self.source_agent.value

        artifact_metadata = self.artifact_metadata

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "artifact_type": artifact_type,
                "content": content,
                "project_id": project_id,
                "source_agent": source_agent,
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

        project_id = UUID(d.pop("project_id"))

        source_agent = AgentType(d.pop("source_agent"))

        artifact_metadata = d.pop("artifact_metadata", UNSET)

        new_artifact_body = cls(
            artifact_type=artifact_type,
            content=content,
            project_id=project_id,
            source_agent=source_agent,
            artifact_metadata=artifact_metadata,
        )

        return new_artifact_body
