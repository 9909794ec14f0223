from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.permission import Permission

T = TypeVar("T", bound="PermissionView")


@_attrs_define
class PermissionView:
    """Permission, and where the caller has it.

    Attributes:
        everywhere (bool): Whether the caller has it on all projects and on the installation.
        own (bool): Whether the caller has it on the projects that it creates.
        permission (Permission):
        project_ids (list[UUID]): Projects on which the caller has it by name.
    """

    everywhere: bool
    own: bool
    permission: Permission
    project_ids: list[UUID]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        everywhere = self.everywhere

        own = self.own

        permission = self.permission.value

        project_ids = []
        for project_ids_item_data in self.project_ids:
            project_ids_item = str(project_ids_item_data)
            project_ids.append(project_ids_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "everywhere": everywhere,
                "own": own,
                "permission": permission,
                "project_ids": project_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        everywhere = d.pop("everywhere")

        own = d.pop("own")

        permission = Permission(d.pop("permission"))

        project_ids = []
        _project_ids = d.pop("project_ids")
        for project_ids_item_data in _project_ids:
            project_ids_item = UUID(project_ids_item_data)

            project_ids.append(project_ids_item)

        permission_view = cls(
            everywhere=everywhere,
            own=own,
            permission=permission,
            project_ids=project_ids,
        )

        permission_view.additional_properties = d
        return permission_view

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
