from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.artifact_type import ArtifactType

T = TypeVar("T", bound="PlannedView")


@_attrs_define
class PlannedView:
    """Task that is about to begin.

    Attributes:
        agent_type (AgentType):
        feedback (list[UUID]): Artifacts with the words of people that it is shown beside its inputs.
        instructions (str):
        output (ArtifactType):
    """

    agent_type: AgentType
    feedback: list[UUID]
    instructions: str
    output: ArtifactType
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        feedback = []
        for feedback_item_data in self.feedback:
            feedback_item = str(feedback_item_data)
            feedback.append(feedback_item)

        instructions = self.instructions

        output = self.output.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "feedback": feedback,
                "instructions": instructions,
                "output": output,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        feedback = []
        _feedback = d.pop("feedback")
        for feedback_item_data in _feedback:
            feedback_item = UUID(feedback_item_data)

            feedback.append(feedback_item)

        instructions = d.pop("instructions")

        output = ArtifactType(d.pop("output"))

        planned_view = cls(
            agent_type=agent_type,
            feedback=feedback,
            instructions=instructions,
            output=output,
        )

        planned_view.additional_properties = d
        return planned_view

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
