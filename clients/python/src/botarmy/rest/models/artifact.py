from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.artifact_type import ArtifactType

T = TypeVar("T", bound="Artifact")


@_attrs_define
class Artifact:
    """Artifact. It never changes; a new version points to the one before.

    Attributes:
        artifact_metadata (Any):
        artifact_type (ArtifactType):
        content (Any): Content; in a list, null unless it is asked for.
        context_id (UUID):
        created_at (datetime.datetime):
        digest (str): SHA-256 of the content's canonical JSON (RFC 8785), in hexadecimal.
        previous (None | UUID): Artifact that this one replaces.
        project_id (UUID):
        source_agent (AgentType):
        updated_at (datetime.datetime):
    """

    artifact_metadata: Any
    artifact_type: ArtifactType
    content: Any
    context_id: UUID
    created_at: datetime.datetime
    digest: str
    previous: None | UUID
    project_id: UUID
    source_agent: AgentType
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifact_metadata = self.artifact_metadata

        artifact_type = self.artifact_type.value

        content = self.content

        context_id = str(self.context_id)

        created_at = self.created_at.isoformat()

        digest = self.digest

        previous: None | str
        if isinstance(self.previous, UUID):
            previous = str(self.previous)
        else:
            previous = self.previous

        project_id = str(self.project_id)

        source_agent = self.source_agent.value

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifact_metadata": artifact_metadata,
                "artifact_type": artifact_type,
                "content": content,
                "context_id": context_id,
                "created_at": created_at,
                "digest": digest,
                "previous": previous,
                "project_id": project_id,
                "source_agent": source_agent,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        artifact_metadata = d.pop("artifact_metadata")

        artifact_type = ArtifactType(d.pop("artifact_type"))

        content = d.pop("content")

        context_id = UUID(d.pop("context_id"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        digest = d.pop("digest")

        def _parse_previous(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_type_0 = UUID(data)

                return previous_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        previous = _parse_previous(d.pop("previous"))

        project_id = UUID(d.pop("project_id"))

        source_agent = AgentType(d.pop("source_agent"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        artifact = cls(
            artifact_metadata=artifact_metadata,
            artifact_type=artifact_type,
            content=content,
            context_id=context_id,
            created_at=created_at,
            digest=digest,
            previous=previous,
            project_id=project_id,
            source_agent=source_agent,
            updated_at=updated_at,
        )

        artifact.additional_properties = d
        return artifact

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
