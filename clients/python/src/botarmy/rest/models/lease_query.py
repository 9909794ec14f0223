from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.agent_type import AgentType
from ..types import UNSET, Unset

T = TypeVar("T", bound="LeaseQuery")


@_attrs_define
class LeaseQuery:
    """Request for work.

    Attributes:
        agents (list[AgentType]): Agent types that the worker serves; the first is served first.
        worker_id (str): Name of the worker, 1 to 128 characters. It need not be unique, but the log is easier to read
            when it is.
        max_ (int | None | Unset): Largest number of tasks; 1 when absent.
        wait_s (int | None | Unset): Time to wait for a task if none is ready, in seconds; 0 when absent.
    """

    agents: list[AgentType]
    worker_id: str
    max_: int | None | Unset = UNSET
    wait_s: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        agents = []
        for agents_item_data in self.agents:
            agents_item = agents_item_data.value
            agents.append(agents_item)

        worker_id = self.worker_id

        max_: int | None | Unset
        if isinstance(self.max_, Unset):
            max_ = UNSET
        else:
            max_ = self.max_

        wait_s: int | None | Unset
        if isinstance(self.wait_s, Unset):
            wait_s = UNSET
        else:
            wait_s = self.wait_s

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "agents": agents,
                "worker_id": worker_id,
            }
        )
        if max_ is not UNSET:
            field_dict["max"] = max_
        if wait_s is not UNSET:
            field_dict["wait_s"] = wait_s

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agents = []
        _agents = d.pop("agents")
        for agents_item_data in _agents:
            agents_item = AgentType(agents_item_data)

            agents.append(agents_item)

        worker_id = d.pop("worker_id")

        def _parse_max_(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_ = _parse_max_(d.pop("max", UNSET))

        def _parse_wait_s(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        wait_s = _parse_wait_s(d.pop("wait_s", UNSET))

        lease_query = cls(
            agents=agents,
            worker_id=worker_id,
            max_=max_,
            wait_s=wait_s,
        )

        return lease_query
