from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewBudget")


@_attrs_define
class NewBudget:
    """New limit of a project.

    Attributes:
        cost_micro_usd (int | None | Unset): Millionths of a US dollar; no limit when absent or `null`.
        tokens (int | None | Unset): Tokens, input and output together; no limit when absent or `null`.
    """

    cost_micro_usd: int | None | Unset = UNSET
    tokens: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        cost_micro_usd: int | None | Unset
        if isinstance(self.cost_micro_usd, Unset):
            cost_micro_usd = UNSET
        else:
            cost_micro_usd = self.cost_micro_usd

        tokens: int | None | Unset
        if isinstance(self.tokens, Unset):
            tokens = UNSET
        else:
            tokens = self.tokens

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if cost_micro_usd is not UNSET:
            field_dict["cost_micro_usd"] = cost_micro_usd
        if tokens is not UNSET:
            field_dict["tokens"] = tokens

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

        def _parse_tokens(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        tokens = _parse_tokens(d.pop("tokens", UNSET))

        new_budget = cls(
            cost_micro_usd=cost_micro_usd,
            tokens=tokens,
        )

        return new_budget
