from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.grant_body import GrantBody


T = TypeVar("T", bound="NewKeyBody")


@_attrs_define
class NewKeyBody:
    """Key to create.

    Attributes:
        name (str): Name by which its owner recognises it; at most 128 characters.
        principal_id (UUID): Principal that the key is for.
        expires_in_days (int | None | Unset): Days until it expires; as the server is configured when absent.
        grants (list[GrantBody] | None | Unset): Grants to which it narrows those of its principal; all of them when
            absent.
        never (bool | None | Unset): Whether it never expires.
    """

    name: str
    principal_id: UUID
    expires_in_days: int | None | Unset = UNSET
    grants: list[GrantBody] | None | Unset = UNSET
    never: bool | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        principal_id = str(self.principal_id)

        expires_in_days: int | None | Unset
        if isinstance(self.expires_in_days, Unset):
            expires_in_days = UNSET
        else:
            expires_in_days = self.expires_in_days

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

        never: bool | None | Unset
        if isinstance(self.never, Unset):
            never = UNSET
        else:
            never = self.never

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "principal_id": principal_id,
            }
        )
        if expires_in_days is not UNSET:
            field_dict["expires_in_days"] = expires_in_days
        if grants is not UNSET:
            field_dict["grants"] = grants
        if never is not UNSET:
            field_dict["never"] = never

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant_body import GrantBody  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")

        principal_id = UUID(d.pop("principal_id"))

        def _parse_expires_in_days(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        expires_in_days = _parse_expires_in_days(d.pop("expires_in_days", UNSET))

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

        def _parse_never(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        never = _parse_never(d.pop("never", UNSET))

        new_key_body = cls(
            name=name,
            principal_id=principal_id,
            expires_in_days=expires_in_days,
            grants=grants,
            never=never,
        )

        return new_key_body
