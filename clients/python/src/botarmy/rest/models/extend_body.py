from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ExtendBody")


@_attrs_define
class ExtendBody:
    """Time that people get beyond the present deadline.

    Attributes:
        by_s (int): Time that is added, in seconds: 1 to 2,592,000, which is 30 days.
        comment (None | str | Unset): Reason.
    """

    by_s: int
    comment: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        by_s = self.by_s

        comment: None | str | Unset
        if isinstance(self.comment, Unset):
            comment = UNSET
        else:
            comment = self.comment

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "by_s": by_s,
            }
        )
        if comment is not UNSET:
            field_dict["comment"] = comment

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        by_s = d.pop("by_s")

        def _parse_comment(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        comment = _parse_comment(d.pop("comment", UNSET))

        extend_body = cls(
            by_s=by_s,
            comment=comment,
        )

        return extend_body
