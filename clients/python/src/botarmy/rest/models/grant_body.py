from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.grant_scope import GrantScope
from ..models.role import Role
from ..types import UNSET, Unset

T = TypeVar("T", bound="GrantBody")


@_attrs_define
class GrantBody:
    """Role to grant on some projects.

    Attributes:
        on (GrantScope): Projects that a grant is about.
        role (Role):
        project_id (None | Unset | UUID): Project; required with `project`, and with nothing else.
    """

    on: GrantScope
    role: Role
    project_id: None | Unset | UUID = UNSET

    def to_dict(self) -> dict[str, Any]:
        on = self.on.value

        role = self.role.value

        project_id: None | str | Unset
        if isinstance(self.project_id, Unset):
            project_id = UNSET
        elif isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "on": on,
                "role": role,
            }
        )
        if project_id is not UNSET:
            field_dict["project_id"] = project_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        on = GrantScope(d.pop("on"))

        role = Role(d.pop("role"))

        def _parse_project_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        project_id = _parse_project_id(d.pop("project_id", UNSET))

        grant_body = cls(
            on=on,
            role=role,
            project_id=project_id,
        )

        return grant_body
