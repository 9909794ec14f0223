from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.state_difference import StateDifference


T = TypeVar("T", bound="StateVerification")


@_attrs_define
class StateVerification:
    """Result of comparing the stored state with the log.

    Attributes:
        rows (int): Number of rows that were compared; 0 if the log itself is not valid.
        difference (None | StateDifference | Unset):
    """

    rows: int
    difference: None | StateDifference | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.state_difference import StateDifference  # noqa: PLC0415

        rows = self.rows

        difference: dict[str, Any] | None | Unset
        if isinstance(self.difference, Unset):
            difference = UNSET
        elif isinstance(self.difference, StateDifference):
            difference = self.difference.to_dict()
        else:
            difference = self.difference

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "rows": rows,
            }
        )
        if difference is not UNSET:
            field_dict["difference"] = difference

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.state_difference import StateDifference  # noqa: PLC0415

        d = dict(src_dict)
        rows = d.pop("rows")

        def _parse_difference(data: object) -> None | StateDifference | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                difference_type_0 = StateDifference.from_dict(data)

                return difference_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StateDifference | Unset, data)

        difference = _parse_difference(d.pop("difference", UNSET))

        state_verification = cls(
            rows=rows,
            difference=difference,
        )

        state_verification.additional_properties = d
        return state_verification

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
