from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.activity_state import ActivityState
from ..models.agent_type import AgentType
from ..types import UNSET, Unset

T = TypeVar("T", bound="Activity")


@_attrs_define
class Activity:
    """Current work of a project, or the party that it waits for.

    Attributes:
        requests (int): Number of requests that wait for a person.
        since (datetime.datetime): Start of the attempt, opening of the oldest request, or time at which the task became
            ready.
        state (ActivityState):
        agent_type (AgentType | None | Unset):
    """

    requests: int
    since: datetime.datetime
    state: ActivityState
    agent_type: AgentType | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        requests = self.requests

        since = self.since.isoformat()

        state = self.state.value

        agent_type: None | str | Unset
        if isinstance(self.agent_type, Unset):
            agent_type = UNSET
        elif isinstance(self.agent_type, AgentType):
            agent_type = self.agent_type.value
        else:
            agent_type = self.agent_type

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "requests": requests,
                "since": since,
                "state": state,
            }
        )
        if agent_type is not UNSET:
            field_dict["agent_type"] = agent_type

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        requests = d.pop("requests")

        since = datetime.datetime.fromisoformat(d.pop("since").replace("Z", "+00:00"))

        state = ActivityState(d.pop("state"))

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

        activity = cls(
            requests=requests,
            since=since,
            state=state,
            agent_type=agent_type,
        )

        activity.additional_properties = d
        return activity

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
