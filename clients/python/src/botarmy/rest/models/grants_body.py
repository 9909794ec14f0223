from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.grant_body import GrantBody


T = TypeVar("T", bound="GrantsBody")


@_attrs_define
class GrantsBody:
    """Grants of a principal.

    Attributes:
        grants (list[GrantBody]): All grants that the principal is to have.
    """

    grants: list[GrantBody]

    def to_dict(self) -> dict[str, Any]:
        grants = []
        for grants_item_data in self.grants:
            grants_item = grants_item_data.to_dict()
            grants.append(grants_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "grants": grants,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant_body import GrantBody  # noqa: PLC0415

        d = dict(src_dict)
        grants = []
        _grants = d.pop("grants")
        for grants_item_data in _grants:
            grants_item = GrantBody.from_dict(grants_item_data)

            grants.append(grants_item)

        grants_body = cls(
            grants=grants,
        )

        return grants_body
