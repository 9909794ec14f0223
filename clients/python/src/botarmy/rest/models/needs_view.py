from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.needs_view_groups import NeedsViewGroups


T = TypeVar("T", bound="NeedsView")


@_attrs_define
class NeedsView:
    """Approvals that are missing.

    Attributes:
        approvals (int): Number of people who still have to approve.
        groups (NeedsViewGroups): Number of those who have to be in each group.
    """

    approvals: int
    groups: NeedsViewGroups
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        approvals = self.approvals

        groups = self.groups.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "approvals": approvals,
                "groups": groups,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.needs_view_groups import NeedsViewGroups  # noqa: PLC0415

        d = dict(src_dict)
        approvals = d.pop("approvals")

        groups = NeedsViewGroups.from_dict(d.pop("groups"))

        needs_view = cls(
            approvals=approvals,
            groups=groups,
        )

        needs_view.additional_properties = d
        return needs_view

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
