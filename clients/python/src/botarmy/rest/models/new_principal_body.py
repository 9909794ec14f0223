from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.new_kind import NewKind
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.grant_body import GrantBody


T = TypeVar("T", bound="NewPrincipalBody")


@_attrs_define
class NewPrincipalBody:
    """Principal to create.

    Attributes:
        kind (NewKind): Kind of a new principal.
        name (str): Name, at most 128 characters, without slashes, invisible characters and repeated spaces. No other
            principal has or
            had it, or one that looks like it, and the log gives it to no part of the server.
        grants (list[GrantBody] | None | Unset): Grants; none when absent.
        groups (list[str] | None | Unset): Groups; none when absent.
    """

    kind: NewKind
    name: str
    grants: list[GrantBody] | None | Unset = UNSET
    groups: list[str] | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind.value

        name = self.name

        grants: list[dict[str, Any]] | None | Unset
        if isinstance(self.grants, Unset):
            grants = UNSET
        elif isinstance(self.grants, list):
            grants = []
            for grants_type_0_item_data in self.grants:
                grants_type_0_item = grants_type_0_item_data.to_dict()
                grants.append(grants_type_0_item)

        else:
            grants = self.grants

        groups: list[str] | None | Unset
        if isinstance(self.groups, Unset):
            groups = UNSET
        elif isinstance(self.groups, list):
            groups = self.groups

        else:
            groups = self.groups

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "kind": kind,
                "name": name,
            }
        )
        if grants is not UNSET:
            field_dict["grants"] = grants
        if groups is not UNSET:
            field_dict["groups"] = groups

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant_body import GrantBody  # noqa: PLC0415

        d = dict(src_dict)
        kind = NewKind(d.pop("kind"))

        name = d.pop("name")

        def _parse_grants(data: object) -> list[GrantBody] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                grants_type_0 = []
                _grants_type_0 = data
                for grants_type_0_item_data in _grants_type_0:
                    grants_type_0_item = GrantBody.from_dict(grants_type_0_item_data)

                    grants_type_0.append(grants_type_0_item)

                return grants_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[GrantBody] | None | Unset, data)

        grants = _parse_grants(d.pop("grants", UNSET))

        def _parse_groups(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                groups_type_0 = cast(list[str], data)

                return groups_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        groups = _parse_groups(d.pop("groups", UNSET))

        new_principal_body = cls(
            kind=kind,
            name=name,
            grants=grants,
            groups=groups,
        )

        return new_principal_body
