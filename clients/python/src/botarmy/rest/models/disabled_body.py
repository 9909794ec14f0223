from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="DisabledBody")


@_attrs_define
class DisabledBody:
    """Whether a principal is disabled.

    Attributes:
        disabled (bool):
    """

    disabled: bool

    def to_dict(self) -> dict[str, Any]:
        disabled = self.disabled

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "disabled": disabled,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        disabled = d.pop("disabled")

        disabled_body = cls(
            disabled=disabled,
        )

        return disabled_body
