from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.agent_type import AgentType
from ..models.reach import Reach
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewEmergencyStop")


@_attrs_define
class NewEmergencyStop:
    """Request for an emergency stop.

    Attributes:
        reason (str): Reason, for people who find the work stopped.
        scope (Reach): Scope of an emergency stop.
        agent_type (AgentType | None | Unset):
        project_id (None | Unset | UUID): Project; required with the scope `project`, refused with others.
    """

    reason: str
    scope: Reach
    agent_type: AgentType | None | Unset = UNSET
    project_id: None | Unset | UUID = UNSET

    def to_dict(self) -> dict[str, Any]:
        reason = self.reason

        scope = self.scope.value

        agent_type: None | str | Unset
        if isinstance(self.agent_type, Unset):
            agent_type = UNSET
        elif isinstance(self.agent_type, AgentType):
            agent_type = self.agent_type.value
        else:
            agent_type = self.agent_type

        project_id: None | str | Unset
        if isinstance(self.project_id, Unset):
            project_id = UNSET
        elif isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "reason": reason,
                "scope": scope,
            }
        )
        if agent_type is not UNSET:
            field_dict["agent_type"] = agent_type
        if project_id is not UNSET:
            field_dict["project_id"] = project_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        reason = d.pop("reason")

        scope = Reach(d.pop("scope"))

        def _parse_agent_type(data: object) -> AgentType | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                agent_type_type_0 = AgentType(data)

                return agent_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgentType | None | Unset, data)

        agent_type = _parse_agent_type(d.pop("agent_type", UNSET))

        def _parse_project_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        project_id = _parse_project_id(d.pop("project_id", UNSET))

        new_emergency_stop = cls(
            reason=reason,
            scope=scope,
            agent_type=agent_type,
            project_id=project_id,
        )

        return new_emergency_stop
