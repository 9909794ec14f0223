from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.artifact_type import ArtifactType

T = TypeVar("T", bound="AssignedTask")


@_attrs_define
class AssignedTask:
    """Task of an assignment.

    Attributes:
        agent (AgentType):
        attempt (int): Number of the attempt, from 1.
        id (UUID):
        instructions (str):
        output_type (ArtifactType | None):
        project_id (UUID):
        project_name (str):
        step (None | str): Name of the workflow step, if the task belongs to one.
    """

    agent: AgentType
    attempt: int
    id: UUID
    instructions: str
    output_type: ArtifactType | None
    project_id: UUID
    project_name: str
    step: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent = self.agent.value

        attempt = self.attempt

        id = str(self.id)

        instructions = self.instructions

        output_type: None | str
        if isinstance(self.output_type, ArtifactType):
            output_type = self.output_type.value
        else:
            output_type = self.output_type

        project_id = str(self.project_id)

        project_name = self.project_name

        step: None | str
        step = self.step

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent": agent,
                "attempt": attempt,
                "id": id,
                "instructions": instructions,
                "output_type": output_type,
                "project_id": project_id,
                "project_name": project_name,
                "step": step,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent = AgentType(d.pop("agent"))

        attempt = d.pop("attempt")

        id = UUID(d.pop("id"))

        instructions = d.pop("instructions")

        def _parse_output_type(data: object) -> ArtifactType | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                output_type_type_0 = ArtifactType(data)

                return output_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ArtifactType | None, data)

        output_type = _parse_output_type(d.pop("output_type"))

        project_id = UUID(d.pop("project_id"))

        project_name = d.pop("project_name")

        def _parse_step(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        step = _parse_step(d.pop("step"))

        assigned_task = cls(
            agent=agent,
            attempt=attempt,
            id=id,
            instructions=instructions,
            output_type=output_type,
            project_id=project_id,
            project_name=project_name,
            step=step,
        )

        assigned_task.additional_properties = d
        return assigned_task

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
