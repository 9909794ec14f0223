from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="UsageView")


@_attrs_define
class UsageView:
    """Tokens and money that were used.

    Attributes:
        cost_micro_usd (int | None): Millionths of a US dollar.
        input_tokens (int):
        model (None | str):
        output_tokens (int):
        provider (None | str):
    """

    cost_micro_usd: int | None
    input_tokens: int
    model: None | str
    output_tokens: int
    provider: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        cost_micro_usd: int | None
        cost_micro_usd = self.cost_micro_usd

        input_tokens = self.input_tokens

        model: None | str
        model = self.model

        output_tokens = self.output_tokens

        provider: None | str
        provider = self.provider

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "cost_micro_usd": cost_micro_usd,
                "input_tokens": input_tokens,
                "model": model,
                "output_tokens": output_tokens,
                "provider": provider,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_cost_micro_usd(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        cost_micro_usd = _parse_cost_micro_usd(d.pop("cost_micro_usd"))

        input_tokens = d.pop("input_tokens")

        def _parse_model(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        model = _parse_model(d.pop("model"))

        output_tokens = d.pop("output_tokens")

        def _parse_provider(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider = _parse_provider(d.pop("provider"))

        usage_view = cls(
            cost_micro_usd=cost_micro_usd,
            input_tokens=input_tokens,
            model=model,
            output_tokens=output_tokens,
            provider=provider,
        )

        usage_view.additional_properties = d
        return usage_view

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
