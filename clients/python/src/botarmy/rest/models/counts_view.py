from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.task_counts import TaskCounts


T = TypeVar("T", bound="CountsView")


@_attrs_define
class CountsView:
    """Numbers of what belongs to a project.

    Attributes:
        artifacts (int):
        open_requests (int): Number of pending requests.
        tasks (TaskCounts): Tasks by status.
    """

    artifacts: int
    open_requests: int
    tasks: TaskCounts
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifacts = self.artifacts

        open_requests = self.open_requests

        tasks = self.tasks.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifacts": artifacts,
                "open_requests": open_requests,
                "tasks": tasks,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.task_counts import TaskCounts  # noqa: PLC0415

        d = dict(src_dict)
        artifacts = d.pop("artifacts")

        open_requests = d.pop("open_requests")

        tasks = TaskCounts.from_dict(d.pop("tasks"))

        counts_view = cls(
            artifacts=artifacts,
            open_requests=open_requests,
            tasks=tasks,
        )

        counts_view.additional_properties = d
        return counts_view

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
