from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.project_status import ProjectStatus

T = TypeVar("T", bound="CompletionView")


@_attrs_define
class CompletionView:
    """Progress of a project towards its completion.

    Attributes:
        artifacts_available (bool): Whether there are artifacts or a package to download.
        artifacts_count (int):
        cancelled_tasks (int):
        completed_tasks (int):
        completion_percentage (float): Share of steps that are done or skipped or, without a workflow, of completed
            tasks in all
            that were not cancelled: 0 to 100, with two decimals.
        failed_tasks (int):
        is_complete (bool):
        last_updated (datetime.datetime): Time of the project's newest log entry.
        pending_tasks (int):
        project_id (UUID):
        project_name (str):
        project_status (ProjectStatus):
        total_tasks (int):
        waiting_for_hitl_tasks (int):
        working_tasks (int):
    """

    artifacts_available: bool
    artifacts_count: int
    cancelled_tasks: int
    completed_tasks: int
    completion_percentage: float
    failed_tasks: int
    is_complete: bool
    last_updated: datetime.datetime
    pending_tasks: int
    project_id: UUID
    project_name: str
    project_status: ProjectStatus
    total_tasks: int
    waiting_for_hitl_tasks: int
    working_tasks: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifacts_available = self.artifacts_available

        artifacts_count = self.artifacts_count

        cancelled_tasks = self.cancelled_tasks

        completed_tasks = self.completed_tasks

        completion_percentage = self.completion_percentage

        failed_tasks = self.failed_tasks

        is_complete = self.is_complete

        last_updated = self.last_updated.isoformat()

        pending_tasks = self.pending_tasks

        project_id = str(self.project_id)

        project_name = self.project_name

        project_status = self.project_status.value

        total_tasks = self.total_tasks

        waiting_for_hitl_tasks = self.waiting_for_hitl_tasks

        working_tasks = self.working_tasks

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifacts_available": artifacts_available,
                "artifacts_count": artifacts_count,
                "cancelled_tasks": cancelled_tasks,
                "completed_tasks": completed_tasks,
                "completion_percentage": completion_percentage,
                "failed_tasks": failed_tasks,
                "is_complete": is_complete,
                "last_updated": last_updated,
                "pending_tasks": pending_tasks,
                "project_id": project_id,
                "project_name": project_name,
                "project_status": project_status,
                "total_tasks": total_tasks,
                "waiting_for_hitl_tasks": waiting_for_hitl_tasks,
                "working_tasks": working_tasks,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        artifacts_available = d.pop("artifacts_available")

        artifacts_count = d.pop("artifacts_count")

        cancelled_tasks = d.pop("cancelled_tasks")

        completed_tasks = d.pop("completed_tasks")

        completion_percentage = d.pop("completion_percentage")

        failed_tasks = d.pop("failed_tasks")

        is_complete = d.pop("is_complete")

        last_updated = datetime.datetime.fromisoformat(d.pop("last_updated").replace("Z", "+00:00"))

        pending_tasks = d.pop("pending_tasks")

        project_id = UUID(d.pop("project_id"))

        project_name = d.pop("project_name")

        project_status = ProjectStatus(d.pop("project_status"))

        total_tasks = d.pop("total_tasks")

        waiting_for_hitl_tasks = d.pop("waiting_for_hitl_tasks")

        working_tasks = d.pop("working_tasks")

        completion_view = cls(
            artifacts_available=artifacts_available,
            artifacts_count=artifacts_count,
            cancelled_tasks=cancelled_tasks,
            completed_tasks=completed_tasks,
            completion_percentage=completion_percentage,
            failed_tasks=failed_tasks,
            is_complete=is_complete,
            last_updated=last_updated,
            pending_tasks=pending_tasks,
            project_id=project_id,
            project_name=project_name,
            project_status=project_status,
            total_tasks=total_tasks,
            waiting_for_hitl_tasks=waiting_for_hitl_tasks,
            working_tasks=working_tasks,
        )

        completion_view.additional_properties = d
        return completion_view

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
