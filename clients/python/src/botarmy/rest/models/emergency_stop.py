from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.reach import Reach

T = TypeVar("T", bound="EmergencyStop")


@_attrs_define
class EmergencyStop:
    """Emergency stop in force.

    Attributes:
        agent_type (AgentType | None):
        project_id (None | UUID):
        reason (str):
        scope (Reach): Scope of an emergency stop.
        stopped_at (datetime.datetime):
        stopped_by (str):
    """

    agent_type: AgentType | None
    project_id: None | UUID
    reason: str
    scope: Reach
    stopped_at: datetime.datetime
    stopped_by: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type: None | str
        if isinstance(self.agent_type, AgentType):
            agent_type = self.agent_type.value
        else:
            agent_type = self.agent_type

        project_id: None | str
        if isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        reason = self.reason

        scope = self.scope.value

        stopped_at = self.stopped_at.isoformat()

        stopped_by = self.stopped_by

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "project_id": project_id,
                "reason": reason,
                "scope": scope,
                "stopped_at": stopped_at,
                "stopped_by": stopped_by,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_agent_type(data: object) -> AgentType | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                agent_type_type_0 = AgentType(data)

                return agent_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgentType | None, data)

        agent_type = _parse_agent_type(d.pop("agent_type"))

        def _parse_project_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        project_id = _parse_project_id(d.pop("project_id"))

        reason = d.pop("reason")

        scope = Reach(d.pop("scope"))

        stopped_at = datetime.datetime.fromisoformat(d.pop("stopped_at").replace("Z", "+00:00"))

        stopped_by = d.pop("stopped_by")

        emergency_stop = cls(
            agent_type=agent_type,
            project_id=project_id,
            reason=reason,
            scope=scope,
            stopped_at=stopped_at,
            stopped_by=stopped_by,
        )

        emergency_stop.additional_properties = d
        return emergency_stop

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
