from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_status_kind import AgentStatusKind
from ..models.agent_type import AgentType

T = TypeVar("T", bound="AgentHistoryLine")


@_attrs_define
class AgentHistoryLine:
    """Earlier status of an agent type.

    Attributes:
        agent_type (AgentType):
        current_task_id (None | UUID):
        error_message (None | str):
        last_activity (datetime.datetime | None):
        status (AgentStatusKind):
        updated_at (datetime.datetime | None): Time at which the status began.
    """

    agent_type: AgentType
    current_task_id: None | UUID
    error_message: None | str
    last_activity: datetime.datetime | None
    status: AgentStatusKind
    updated_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        current_task_id: None | str
        if isinstance(self.current_task_id, UUID):
            current_task_id = str(self.current_task_id)
        else:
            current_task_id = self.current_task_id

        error_message: None | str
        error_message = self.error_message

        last_activity: None | str
        if isinstance(self.last_activity, datetime.datetime):
            last_activity = self.last_activity.isoformat()
        else:
            last_activity = self.last_activity

        status = self.status.value

        updated_at: None | str
        if isinstance(self.updated_at, datetime.datetime):
            updated_at = self.updated_at.isoformat()
        else:
            updated_at = self.updated_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "current_task_id": current_task_id,
                "error_message": error_message,
                "last_activity": last_activity,
                "status": status,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
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

        def _parse_last_activity(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_activity_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return last_activity_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        last_activity = _parse_last_activity(d.pop("last_activity"))

        status = AgentStatusKind(d.pop("status"))

        def _parse_updated_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                updated_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return updated_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        updated_at = _parse_updated_at(d.pop("updated_at"))

        agent_history_line = cls(
            agent_type=agent_type,
            current_task_id=current_task_id,
            error_message=error_message,
            last_activity=last_activity,
            status=status,
            updated_at=updated_at,
        )

        agent_history_line.additional_properties = d
        return agent_history_line

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
