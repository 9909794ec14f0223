from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.principal_kind import PrincipalKind

if TYPE_CHECKING:
    from ..models.grant import Grant


T = TypeVar("T", bound="Principal")


@_attrs_define
class Principal:
    """Person or program that holds grants.

    Attributes:
        created_at (datetime.datetime):
        disabled (bool): Whether its credentials are refused for now.
        grants (list[Grant]):
        groups (list[str]): Groups that it is in.
        id (UUID):
        kind (PrincipalKind):
        name (str): Name, as the log records it.
        updated_at (datetime.datetime):
    """

    created_at: datetime.datetime
    disabled: bool
    grants: list[Grant]
    groups: list[str]
    id: UUID
    kind: PrincipalKind
    name: str
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat()

        disabled = self.disabled

        grants = []
        for grants_item_data in self.grants:
            grants_item = grants_item_data.to_dict()
            grants.append(grants_item)

        groups = self.groups

        id = str(self.id)

        kind = self.kind.value

        name = self.name

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "disabled": disabled,
                "grants": grants,
                "groups": groups,
                "id": id,
                "kind": kind,
                "name": name,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant import Grant  # noqa: PLC0415

        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        disabled = d.pop("disabled")

        grants = []
        _grants = d.pop("grants")
        for grants_item_data in _grants:
            grants_item = Grant.from_dict(grants_item_data)

            grants.append(grants_item)

        groups = cast(list[str], d.pop("groups"))

        id = UUID(d.pop("id"))

        kind = PrincipalKind(d.pop("kind"))

        name = d.pop("name")

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        principal = cls(
            created_at=created_at,
            disabled=disabled,
            grants=grants,
            groups=groups,
            id=id,
            kind=kind,
            name=name,
            updated_at=updated_at,
        )

        principal.additional_properties = d
        return principal

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
