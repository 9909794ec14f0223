from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.task_status import TaskStatus

T = TypeVar("T", bound="TaskLine")


@_attrs_define
class TaskLine:
    """Status of a task.

    Attributes:
        agent_type (AgentType):
        attempt (int): Number of times that it was started.
        created_at (datetime.datetime):
        error_message (None | str): Message of the last error.
        status (TaskStatus):
        step (None | str): Step of the workflow that the task does.
        task_id (UUID):
        updated_at (datetime.datetime):
    """

    agent_type: AgentType
    attempt: int
    created_at: datetime.datetime
    error_message: None | str
    status: TaskStatus
    step: None | str
    task_id: UUID
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        attempt = self.attempt

        created_at = self.created_at.isoformat()

        error_message: None | str
        error_message = self.error_message

        status = self.status.value

        step: None | str
        step = self.step

        task_id = str(self.task_id)

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "attempt": attempt,
                "created_at": created_at,
                "error_message": error_message,
                "status": status,
                "step": step,
                "task_id": task_id,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        attempt = d.pop("attempt")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        def _parse_error_message(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error_message = _parse_error_message(d.pop("error_message"))

        status = TaskStatus(d.pop("status"))

        def _parse_step(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        step = _parse_step(d.pop("step"))

        task_id = UUID(d.pop("task_id"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        task_line = cls(
            agent_type=agent_type,
            attempt=attempt,
            created_at=created_at,
            error_message=error_message,
            status=status,
            step=step,
            task_id=task_id,
            updated_at=updated_at,
        )

        task_line.additional_properties = d
        return task_line

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
