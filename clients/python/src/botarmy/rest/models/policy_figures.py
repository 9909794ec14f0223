from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="PolicyFigures")


@_attrs_define
class PolicyFigures:
    """Figures of the requests of one policy.

    Attributes:
        decided (int): Number of requests of the window that people decided.
        median_s (float | None): Median of the seconds from a request to its decision; null where none was decided.
        overdue (int): Number of pending requests that people should have answered by now.
        p95_s (float | None): Time in seconds within which 95 of 100 were decided; null where none was decided.
        pending (int): Number of pending requests.
        policy (None | str): Name of the policy; null for requests whose step names none.
    """

    decided: int
    median_s: float | None
    overdue: int
    p95_s: float | None
    pending: int
    policy: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        decided = self.decided

        median_s: float | None
        median_s = self.median_s

        overdue = self.overdue

        p95_s: float | None
        p95_s = self.p95_s

        pending = self.pending

        policy: None | str
        policy = self.policy

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "decided": decided,
                "median_s": median_s,
                "overdue": overdue,
                "p95_s": p95_s,
                "pending": pending,
                "policy": policy,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        decided = d.pop("decided")

        def _parse_median_s(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        median_s = _parse_median_s(d.pop("median_s"))

        overdue = d.pop("overdue")

        def _parse_p95_s(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        p95_s = _parse_p95_s(d.pop("p95_s"))

        pending = d.pop("pending")

        def _parse_policy(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        policy = _parse_policy(d.pop("policy"))

        policy_figures = cls(
            decided=decided,
            median_s=median_s,
            overdue=overdue,
            p95_s=p95_s,
            pending=pending,
            policy=policy,
        )

        policy_figures.additional_properties = d
        return policy_figures

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
