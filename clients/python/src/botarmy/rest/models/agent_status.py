from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_status_kind import AgentStatusKind
from ..models.agent_type import AgentType

T = TypeVar("T", bound="AgentStatus")


@_attrs_define
class AgentStatus:
    """Status of an agent type.

    Attributes:
        active_tasks (int): Number of its running tasks.
        agent_type (AgentType):
        current_task_id (None | UUID): Oldest of its running tasks.
        error_message (None | str):
        last_activity (datetime.datetime): Time of its last activity; the time of the installation until it has worked.
        status (AgentStatusKind):
    """

    active_tasks: int
    agent_type: AgentType
    current_task_id: None | UUID
    error_message: None | str
    last_activity: datetime.datetime
    status: AgentStatusKind
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        active_tasks = self.active_tasks

        agent_type = self.agent_type.value

        current_task_id: None | str
        if isinstance(self.current_task_id, UUID):
            current_task_id = str(self.current_task_id)
        else:
            current_task_id = self.current_task_id

        error_message: None | str
        error_message = self.error_message

        last_activity = self.last_activity.isoformat()

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "active_tasks": active_tasks,
                "agent_type": agent_type,
                "current_task_id": current_task_id,
                "error_message": error_message,
                "last_activity": last_activity,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        active_tasks = d.pop("active_tasks")

        agent_type = AgentType(d.pop("agent_type"))

        def _parse_current_task_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                current_task_id_type_0 = UUID(data)

                return current_task_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        current_task_id = _parse_current_task_id(d.pop("current_task_id"))

        def _parse_error_message(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error_message = _parse_error_message(d.pop("error_message"))

        last_activity = datetime.datetime.fromisoformat(
            d.pop("last_activity").replace("Z", "+00:00")
        )

        status = AgentStatusKind(d.pop("status"))

        agent_status = cls(
            active_tasks=active_tasks,
            agent_type=agent_type,
            current_task_id=current_task_id,
            error_message=error_message,
            last_activity=last_activity,
            status=status,
        )

        agent_status.additional_properties = d
        return agent_status

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
