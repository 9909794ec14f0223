from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.project_status import ProjectStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.task_line import TaskLine


T = TypeVar("T", bound="StatusBoard")


@_attrs_define
class StatusBoard:
    """Status of a project's tasks at one instant.

    Attributes:
        project_id (UUID):
        project_status (ProjectStatus):
        tasks (list[TaskLine]): Tasks, oldest first.
        truncated (bool | Unset): True when there are more tasks than these; `GET /projects/{id}/tasks` pages through
            all of
            them.
    """

    project_id: UUID
    project_status: ProjectStatus
    tasks: list[TaskLine]
    truncated: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        project_id = str(self.project_id)

        project_status = self.project_status.value

        tasks = []
        for tasks_item_data in self.tasks:
            tasks_item = tasks_item_data.to_dict()
            tasks.append(tasks_item)

        truncated = self.truncated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "project_id": project_id,
                "project_status": project_status,
                "tasks": tasks,
            }
        )
        if truncated is not UNSET:
            field_dict["truncated"] = truncated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.task_line import TaskLine  # noqa: PLC0415

        d = dict(src_dict)
        project_id = UUID(d.pop("project_id"))

        project_status = ProjectStatus(d.pop("project_status"))

        tasks = []
        _tasks = d.pop("tasks")
        for tasks_item_data in _tasks:
            tasks_item = TaskLine.from_dict(tasks_item_data)

            tasks.append(tasks_item)

        truncated = d.pop("truncated", UNSET)

        status_board = cls(
            project_id=project_id,
            project_status=project_status,
            tasks=tasks,
            truncated=truncated,
        )

        status_board.additional_properties = d
        return status_board

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
