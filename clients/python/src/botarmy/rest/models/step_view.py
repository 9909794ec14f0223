from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.step_status import StepStatus

T = TypeVar("T", bound="StepView")


@_attrs_define
class StepView:
    """Step of a workflow.

    Attributes:
        agent_type (AgentType):
        context_id (None | UUID): Artifact of the last run.
        hitl_request_id (None | UUID): Request that the step waits for.
        name (str):
        phase (str):
        runs (int): Number of times that it was started.
        status (StepStatus):
        task_id (None | UUID):
    """

    agent_type: AgentType
    context_id: None | UUID
    hitl_request_id: None | UUID
    name: str
    phase: str
    runs: int
    status: StepStatus
    task_id: None | UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        context_id: None | str
        if isinstance(self.context_id, UUID):
            context_id = str(self.context_id)
        else:
            context_id = self.context_id

        hitl_request_id: None | str
        if isinstance(self.hitl_request_id, UUID):
            hitl_request_id = str(self.hitl_request_id)
        else:
            hitl_request_id = self.hitl_request_id

        name = self.name

        phase = self.phase

        runs = self.runs

        status = self.status.value

        task_id: None | str
        if isinstance(self.task_id, UUID):
            task_id = str(self.task_id)
        else:
            task_id = self.task_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "context_id": context_id,
                "hitl_request_id": hitl_request_id,
                "name": name,
                "phase": phase,
                "runs": runs,
                "status": status,
                "task_id": task_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        def _parse_context_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                context_id_type_0 = UUID(data)

                return context_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        context_id = _parse_context_id(d.pop("context_id"))

        def _parse_hitl_request_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                hitl_request_id_type_0 = UUID(data)

                return hitl_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        hitl_request_id = _parse_hitl_request_id(d.pop("hitl_request_id"))

        name = d.pop("name")

        phase = d.pop("phase")

        runs = d.pop("runs")

        status = StepStatus(d.pop("status"))

        def _parse_task_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                task_id_type_0 = UUID(data)

                return task_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        task_id = _parse_task_id(d.pop("task_id"))

        step_view = cls(
            agent_type=agent_type,
            context_id=context_id,
            hitl_request_id=hitl_request_id,
            name=name,
            phase=phase,
            runs=runs,
            status=status,
            task_id=task_id,
        )

        step_view.additional_properties = d
        return step_view

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
