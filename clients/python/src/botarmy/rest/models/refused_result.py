from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="RefusedResult")


@_attrs_define
class RefusedResult:
    """Result of an external worker that was refused. The worker keeps its lease and can send another.

    Attributes:
        count (int): Number of refusals of the attempt that were recorded, at most 10. A refusal for the same
            reason as the one before it is not recorded again.
        reason (str): Reason, as the worker was told; the first 2000 characters of a longer one.
        refused_at (datetime.datetime):
    """

    count: int
    reason: str
    refused_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        count = self.count

        reason = self.reason

        refused_at = self.refused_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "count": count,
                "reason": reason,
                "refused_at": refused_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        count = d.pop("count")

        reason = d.pop("reason")

        refused_at = datetime.datetime.fromisoformat(d.pop("refused_at").replace("Z", "+00:00"))

        refused_result = cls(
            count=count,
            reason=reason,
            refused_at=refused_at,
        )

        refused_result.additional_properties = d
        return refused_result

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
