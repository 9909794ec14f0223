from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="GroupsBody")


@_attrs_define
class GroupsBody:
    """Groups of a principal.

    Attributes:
        groups (list[str]): All groups that the principal is to be in.
    """

    groups: list[str]

    def to_dict(self) -> dict[str, Any]:
        groups = self.groups

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "groups": groups,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        groups = cast(list[str], d.pop("groups"))

        groups_body = cls(
            groups=groups,
        )

        return groups_body
