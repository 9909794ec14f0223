from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="RotateBody")


@_attrs_define
class RotateBody:
    """Time for which the old key still works, and lifetime of the new one.

    Attributes:
        expires_in_days (int | None | Unset): Days until the new key expires. Without this and `never`, it has the
            lifetime of the old one.
        never (bool | None | Unset): Whether the new key never expires.
        overlap_s (int | None | Unset): Seconds until the old key expires; a day when absent, 0 for at once.
    """

    expires_in_days: int | None | Unset = UNSET
    never: bool | None | Unset = UNSET
    overlap_s: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        expires_in_days: int | None | Unset
        if isinstance(self.expires_in_days, Unset):
            expires_in_days = UNSET
        else:
            expires_in_days = self.expires_in_days

        never: bool | None | Unset
        if isinstance(self.never, Unset):
            never = UNSET
        else:
            never = self.never

        overlap_s: int | None | Unset
        if isinstance(self.overlap_s, Unset):
            overlap_s = UNSET
        else:
            overlap_s = self.overlap_s

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if expires_in_days is not UNSET:
            field_dict["expires_in_days"] = expires_in_days
        if never is not UNSET:
            field_dict["never"] = never
        if overlap_s is not UNSET:
            field_dict["overlap_s"] = overlap_s

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_expires_in_days(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        expires_in_days = _parse_expires_in_days(d.pop("expires_in_days", UNSET))

        def _parse_never(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        never = _parse_never(d.pop("never", UNSET))

        def _parse_overlap_s(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        overlap_s = _parse_overlap_s(d.pop("overlap_s", UNSET))

        rotate_body = cls(
            expires_in_days=expires_in_days,
            never=never,
            overlap_s=overlap_s,
        )

        return rotate_body
