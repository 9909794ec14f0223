from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.delegation_view import DelegationView


T = TypeVar("T", bound="OwnDelegationView")


@_attrs_define
class OwnDelegationView:
    """Standing delegation of a person.

    Attributes:
        delegation (DelegationView | None):
    """

    delegation: DelegationView | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.delegation_view import DelegationView  # noqa: PLC0415

        delegation: dict[str, Any] | None
        if isinstance(self.delegation, DelegationView):
            delegation = self.delegation.to_dict()
        else:
            delegation = self.delegation

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "delegation": delegation,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delegation_view import DelegationView  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_delegation(data: object) -> DelegationView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                delegation_type_0 = DelegationView.from_dict(data)

                return delegation_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(DelegationView | None, data)

        delegation = _parse_delegation(d.pop("delegation"))

        own_delegation_view = cls(
            delegation=delegation,
        )

        own_delegation_view.additional_properties = d
        return own_delegation_view

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
