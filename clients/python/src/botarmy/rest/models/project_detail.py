from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.oversight import Oversight
from ..models.project_status import ProjectStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.activity import Activity
    from ..models.counts_view import CountsView
    from ..models.progress_view import ProgressView


T = TypeVar("T", bound="ProjectDetail")


@_attrs_define
class ProjectDetail:
    """Project with its progress and counts.

    Attributes:
        created_at (datetime.datetime):
        description (None | str): Description; in lists, the beginning of a long one.
        id (UUID):
        name (str):
        oversight (Oversight):
        status (ProjectStatus):
        updated_at (datetime.datetime):
        workflow (None | str): Workflow that drives the project; null when it is driven by hand.
        activity (Activity): Current work of a project, or the party that it waits for.
        counts (CountsView): Numbers of what belongs to a project.
        progress (None | ProgressView):
        status_by (None | str): Name of the caller who changed the status.
        status_reason (None | str): Reason of a halt, a failure or an emergency stop.
        status_since (datetime.datetime | None): Time at which the project reached its status; null while it is active.
        truncated (bool | Unset): True where the description is not all of it.
        overridden (list[str] | Unset): Conditions that were not met when the project was completed by force.
    """

    created_at: datetime.datetime
    description: None | str
    id: UUID
    name: str
    oversight: Oversight
    status: ProjectStatus
    updated_at: datetime.datetime
    workflow: None | str
    activity: Activity
    counts: CountsView
    progress: None | ProgressView
    status_by: None | str
    status_reason: None | str
    status_since: datetime.datetime | None
    truncated: bool | Unset = UNSET
    overridden: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.progress_view import ProgressView  # noqa: PLC0415

        created_at = self.created_at.isoformat()

        description: None | str
        description = self.description

        id = str(self.id)

        name = self.name

        oversight = self.oversight.value

        status = self.status.value

        updated_at = self.updated_at.isoformat()

        workflow: None | str
        workflow = self.workflow

        activity = self.activity.to_dict()

        counts = self.counts.to_dict()

        progress: dict[str, Any] | None
        if isinstance(self.progress, ProgressView):
            progress = self.progress.to_dict()
        else:
            progress = self.progress

        status_by: None | str
        status_by = self.status_by

        status_reason: None | str
        status_reason = self.status_reason

        status_since: None | str
        if isinstance(self.status_since, datetime.datetime):
            status_since = self.status_since.isoformat()
        else:
            status_since = self.status_since

        truncated = self.truncated

        overridden: list[str] | Unset = UNSET
        if not isinstance(self.overridden, Unset):
            overridden = self.overridden

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "description": description,
                "id": id,
                "name": name,
                "oversight": oversight,
                "status": status,
                "updated_at": updated_at,
                "workflow": workflow,
                "activity": activity,
                "counts": counts,
                "progress": progress,
                "status_by": status_by,
                "status_reason": status_reason,
                "status_since": status_since,
            }
        )
        if truncated is not UNSET:
            field_dict["truncated"] = truncated
        if overridden is not UNSET:
            field_dict["overridden"] = overridden

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.activity import Activity  # noqa: PLC0415
        from ..models.counts_view import CountsView  # noqa: PLC0415
        from ..models.progress_view import ProgressView  # noqa: PLC0415

        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        id = UUID(d.pop("id"))

        name = d.pop("name")

        oversight = Oversight(d.pop("oversight"))

        status = ProjectStatus(d.pop("status"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        def _parse_workflow(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        workflow = _parse_workflow(d.pop("workflow"))

        activity = Activity.from_dict(d.pop("activity"))

        counts = CountsView.from_dict(d.pop("counts"))

        def _parse_progress(data: object) -> None | ProgressView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                progress_type_0 = ProgressView.from_dict(data)

                return progress_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ProgressView, data)

        progress = _parse_progress(d.pop("progress"))

        def _parse_status_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        status_by = _parse_status_by(d.pop("status_by"))

        def _parse_status_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        status_reason = _parse_status_reason(d.pop("status_reason"))

        def _parse_status_since(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                status_since_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return status_since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        status_since = _parse_status_since(d.pop("status_since"))

        truncated = d.pop("truncated", UNSET)

        overridden = cast(list[str], d.pop("overridden", UNSET))

        project_detail = cls(
            created_at=created_at,
            description=description,
            id=id,
            name=name,
            oversight=oversight,
            status=status,
            updated_at=updated_at,
            workflow=workflow,
            activity=activity,
            counts=counts,
            progress=progress,
            status_by=status_by,
            status_reason=status_reason,
            status_since=status_since,
            truncated=truncated,
            overridden=overridden,
        )

        project_detail.additional_properties = d
        return project_detail

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
