from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_status_kind import AgentStatusKind
from ..models.agent_type import AgentType

T = TypeVar("T", bound="ResetView")


@_attrs_define
class ResetView:
    """Agent type after a reset.

    Attributes:
        agent_type (AgentType):
        message (str):
        status (AgentStatusKind):
    """

    agent_type: AgentType
    message: str
    status: AgentStatusKind
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        message = self.message

        status = self.status.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "message": message,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        message = d.pop("message")

        status = AgentStatusKind(d.pop("status"))

        reset_view = cls(
            agent_type=agent_type,
            message=message,
            status=status,
        )

        reset_view.additional_properties = d
        return reset_view

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
