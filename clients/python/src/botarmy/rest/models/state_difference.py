from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StateDifference")


@_attrs_define
class StateDifference:
    """Difference between the stored state and the log.

    Attributes:
        expected (str): Value according to the log, as JSON text; the digest of a long one.
        found (str): Value in the store, as JSON text; the digest of a long one.
        row (str): Key of the row.
        table (str): Table of the row.
        field (None | str | Unset): Member of the row, such as `state.status`; absent if the row as a whole is missing,
            unknown to
            the log or unreadable.
        seq (int | None | Unset): Position of the log up to which the expected value was determined.
    """

    expected: str
    found: str
    row: str
    table: str
    field: None | str | Unset = UNSET
    seq: int | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        expected = self.expected

        found = self.found

        row = self.row

        table = self.table

        field: None | str | Unset
        if isinstance(self.field, Unset):
            field = UNSET
        else:
            field = self.field

        seq: int | None | Unset
        if isinstance(self.seq, Unset):
            seq = UNSET
        else:
            seq = self.seq

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "expected": expected,
                "found": found,
                "row": row,
                "table": table,
            }
        )
        if field is not UNSET:
            field_dict["field"] = field
        if seq is not UNSET:
            field_dict["seq"] = seq

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        expected = d.pop("expected")

        found = d.pop("found")

        row = d.pop("row")

        table = d.pop("table")

        def _parse_field(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        field = _parse_field(d.pop("field", UNSET))

        def _parse_seq(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        seq = _parse_seq(d.pop("seq", UNSET))

        state_difference = cls(
            expected=expected,
            found=found,
            row=row,
            table=table,
            field=field,
            seq=seq,
        )

        state_difference.additional_properties = d
        return state_difference

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
