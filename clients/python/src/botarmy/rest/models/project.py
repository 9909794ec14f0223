from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.oversight import Oversight
from ..models.project_status import ProjectStatus
from ..types import UNSET, Unset

T = TypeVar("T", bound="Project")


@_attrs_define
class Project:
    """Project.

    Attributes:
        created_at (datetime.datetime):
        description (None | str): Description; in lists, the beginning of a long one.
        id (UUID):
        name (str):
        oversight (Oversight):
        status (ProjectStatus):
        updated_at (datetime.datetime):
        workflow (None | str): Workflow that drives the project; null when it is driven by hand.
        truncated (bool | Unset): True where the description is not all of it.
    """

    created_at: datetime.datetime
    description: None | str
    id: UUID
    name: str
    oversight: Oversight
    status: ProjectStatus
    updated_at: datetime.datetime
    workflow: None | str
    truncated: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
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

        truncated = self.truncated

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
            }
        )
        if truncated is not UNSET:
            field_dict["truncated"] = truncated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
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

        truncated = d.pop("truncated", UNSET)

        project = cls(
            created_at=created_at,
            description=description,
            id=id,
            name=name,
            oversight=oversight,
            status=status,
            updated_at=updated_at,
            workflow=workflow,
            truncated=truncated,
        )

        project.additional_properties = d
        return project

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
