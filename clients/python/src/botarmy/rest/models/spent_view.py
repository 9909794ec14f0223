from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="SpentView")


@_attrs_define
class SpentView:
    """Amount that was spent.

    Attributes:
        attempts (int): Number of attempts, failed ones included.
        cost_micro_usd (int): Millionths of a US dollar, as far as prices are known.
        input_tokens (int):
        output_tokens (int):
        tokens (int): Input and output tokens together.
    """

    attempts: int
    cost_micro_usd: int
    input_tokens: int
    output_tokens: int
    tokens: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        attempts = self.attempts

        cost_micro_usd = self.cost_micro_usd

        input_tokens = self.input_tokens

        output_tokens = self.output_tokens

        tokens = self.tokens

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "attempts": attempts,
                "cost_micro_usd": cost_micro_usd,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "tokens": tokens,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        attempts = d.pop("attempts")

        cost_micro_usd = d.pop("cost_micro_usd")

        input_tokens = d.pop("input_tokens")

        output_tokens = d.pop("output_tokens")

        tokens = d.pop("tokens")

        spent_view = cls(
            attempts=attempts,
            cost_micro_usd=cost_micro_usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            tokens=tokens,
        )

        spent_view.additional_properties = d
        return spent_view

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
