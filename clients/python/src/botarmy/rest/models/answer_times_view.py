from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="AnswerTimesView")


@_attrs_define
class AnswerTimesView:
    """Times from raising a request of the window to the answer of a person.

    Attributes:
        answered (int): Number of requests that a person answered.
        median_s (float | None): Median in seconds; null without an answer.
        p90_s (float | None): Time in seconds within which nine of ten were answered; null without an answer.
    """

    answered: int
    median_s: float | None
    p90_s: float | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        answered = self.answered

        median_s: float | None
        median_s = self.median_s

        p90_s: float | None
        p90_s = self.p90_s

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "answered": answered,
                "median_s": median_s,
                "p90_s": p90_s,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        answered = d.pop("answered")

        def _parse_median_s(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        median_s = _parse_median_s(d.pop("median_s"))

        def _parse_p90_s(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        p90_s = _parse_p90_s(d.pop("p90_s"))

        answer_times_view = cls(
            answered=answered,
            median_s=median_s,
            p90_s=p90_s,
        )

        answer_times_view.additional_properties = d
        return answer_times_view

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
