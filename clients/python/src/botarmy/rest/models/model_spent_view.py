from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="ModelSpentView")


@_attrs_define
class ModelSpentView:
    """Usage of one model.

    Attributes:
        attempts (int): Number of attempts, failed ones included.
        cost_micro_usd (int): Millionths of a US dollar, as far as prices are known.
        input_tokens (int):
        output_tokens (int):
        tokens (int): Input and output tokens together.
        model (None | str):
        provider (None | str):
    """

    attempts: int
    cost_micro_usd: int
    input_tokens: int
    output_tokens: int
    tokens: int
    model: None | str
    provider: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        attempts = self.attempts

        cost_micro_usd = self.cost_micro_usd

        input_tokens = self.input_tokens

        output_tokens = self.output_tokens

        tokens = self.tokens

        model: None | str
        model = self.model

        provider: None | str
        provider = self.provider

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "attempts": attempts,
                "cost_micro_usd": cost_micro_usd,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "tokens": tokens,
                "model": model,
                "provider": provider,
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

        def _parse_model(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        model = _parse_model(d.pop("model"))

        def _parse_provider(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider = _parse_provider(d.pop("provider"))

        model_spent_view = cls(
            attempts=attempts,
            cost_micro_usd=cost_micro_usd,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            tokens=tokens,
            model=model,
            provider=provider,
        )

        model_spent_view.additional_properties = d
        return model_spent_view

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
