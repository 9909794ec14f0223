from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.agent_type import AgentType
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewTaskBody")


@_attrs_define
class NewTaskBody:
    """Request for a new task.

    Attributes:
        agent_type (AgentType):
        instructions (str): Instructions for the agent; must not be blank.
        context_ids (list[UUID] | None | Unset): Artifacts of the same project that the agent gets.
        max_attempts (int | None | Unset): Number of failures before a person is asked; 3 when absent.
        priority (int | None | Unset): Priority; a higher number goes first, 5 when absent.
    """

    agent_type: AgentType
    instructions: str
    context_ids: list[UUID] | None | Unset = UNSET
    max_attempts: int | None | Unset = UNSET
    priority: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        agent_type = self.agent_type.value

        instructions = self.instructions

        context_ids: list[str] | None | Unset
        if isinstance(self.context_ids, Unset):
            context_ids = UNSET
        elif isinstance(self.context_ids, list):
            context_ids = []
            for context_ids_type_0_item_data in self.context_ids:
                context_ids_type_0_item = str(context_ids_type_0_item_data)
                context_ids.append(context_ids_type_0_item)

        else:
            context_ids = self.context_ids

        max_attempts: int | None | Unset
        if isinstance(self.max_attempts, Unset):
            max_attempts = UNSET
        else:
            max_attempts = self.max_attempts

        priority: int | None | Unset
        if isinstance(self.priority, Unset):
            priority = UNSET
        else:
            priority = self.priority

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "agent_type": agent_type,
                "instructions": instructions,
            }
        )
        if context_ids is not UNSET:
            field_dict["context_ids"] = context_ids
        if max_attempts is not UNSET:
            field_dict["max_attempts"] = max_attempts
        if priority is not UNSET:
            field_dict["priority"] = priority

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        instructions = d.pop("instructions")

        def _parse_context_ids(data: object) -> list[UUID] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                context_ids_type_0 = []
                _context_ids_type_0 = data
                for context_ids_type_0_item_data in _context_ids_type_0:
                    context_ids_type_0_item = UUID(context_ids_type_0_item_data)

                    context_ids_type_0.append(context_ids_type_0_item)

                return context_ids_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[UUID] | None | Unset, data)

        context_ids = _parse_context_ids(d.pop("context_ids", UNSET))

        def _parse_max_attempts(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        max_attempts = _parse_max_attempts(d.pop("max_attempts", UNSET))

        def _parse_priority(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        priority = _parse_priority(d.pop("priority", UNSET))

        new_task_body = cls(
            agent_type=agent_type,
            instructions=instructions,
            context_ids=context_ids,
            max_attempts=max_attempts,
            priority=priority,
        )

        return new_task_body
