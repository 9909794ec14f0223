from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="TaskCounts")


@_attrs_define
class TaskCounts:
    """Tasks by status.

    Attributes:
        cancelled (int):
        completed (int):
        failed (int):
        pending (int):
        total (int):
        waiting_for_hitl (int):
        working (int):
    """

    cancelled: int
    completed: int
    failed: int
    pending: int
    total: int
    waiting_for_hitl: int
    working: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cancelled = self.cancelled

        completed = self.completed

        failed = self.failed

        pending = self.pending

        total = self.total

        waiting_for_hitl = self.waiting_for_hitl

        working = self.working

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "cancelled": cancelled,
                "completed": completed,
                "failed": failed,
                "pending": pending,
                "total": total,
                "waiting_for_hitl": waiting_for_hitl,
                "working": working,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cancelled = d.pop("cancelled")

        completed = d.pop("completed")

        failed = d.pop("failed")

        pending = d.pop("pending")

        total = d.pop("total")

        waiting_for_hitl = d.pop("waiting_for_hitl")

        working = d.pop("working")

        task_counts = cls(
            cancelled=cancelled,
            completed=completed,
            failed=failed,
            pending=pending,
            total=total,
            waiting_for_hitl=waiting_for_hitl,
            working=working,
        )

        task_counts.additional_properties = d
        return task_counts

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
