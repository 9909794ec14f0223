from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="UsageBody")


@_attrs_define
class UsageBody:
    """Usage of an attempt.

    Attributes:
        cost_micro_usd (int | None | Unset): Millionths of a US dollar.
        input_tokens (int | Unset):
        model (None | str | Unset):
        output_tokens (int | Unset):
        provider (None | str | Unset):
    """

    cost_micro_usd: int | None | Unset = UNSET
    input_tokens: int | Unset = UNSET
    model: None | str | Unset = UNSET
    output_tokens: int | Unset = UNSET
    provider: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        cost_micro_usd: int | None | Unset
        if isinstance(self.cost_micro_usd, Unset):
            cost_micro_usd = UNSET
        else:
            cost_micro_usd = self.cost_micro_usd

        input_tokens = self.input_tokens

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

        output_tokens = self.output_tokens

        provider: None | str | Unset
        if isinstance(self.provider, Unset):
            provider = UNSET
        else:
            provider = self.provider

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if cost_micro_usd is not UNSET:
            field_dict["cost_micro_usd"] = cost_micro_usd
        if input_tokens is not UNSET:
            field_dict["input_tokens"] = input_tokens
        if model is not UNSET:
            field_dict["model"] = model
        if output_tokens is not UNSET:
            field_dict["output_tokens"] = output_tokens
        if provider is not UNSET:
            field_dict["provider"] = provider

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_cost_micro_usd(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        cost_micro_usd = _parse_cost_micro_usd(d.pop("cost_micro_usd", UNSET))

        input_tokens = d.pop("input_tokens", UNSET)

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

        output_tokens = d.pop("output_tokens", UNSET)

        def _parse_provider(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        provider = _parse_provider(d.pop("provider", UNSET))

        usage_body = cls(
            cost_micro_usd=cost_micro_usd,
            input_tokens=input_tokens,
            model=model,
            output_tokens=output_tokens,
            provider=provider,
        )

        return usage_body
