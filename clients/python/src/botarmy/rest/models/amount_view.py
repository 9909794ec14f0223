from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="AmountView")


@_attrs_define
class AmountView:
    """Amount of tokens and money.

    Attributes:
        cost_micro_usd (int): Millionths of a US dollar.
        tokens (int):
    """

    cost_micro_usd: int
    tokens: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cost_micro_usd = self.cost_micro_usd

        tokens = self.tokens

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "cost_micro_usd": cost_micro_usd,
                "tokens": tokens,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cost_micro_usd = d.pop("cost_micro_usd")

        tokens = d.pop("tokens")

        amount_view = cls(
            cost_micro_usd=cost_micro_usd,
            tokens=tokens,
        )

        amount_view.additional_properties = d
        return amount_view

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
