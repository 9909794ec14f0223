from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="LeaseView")


@_attrs_define
class LeaseView:
    """Right of a worker to a task.

    Attributes:
        expires_at (datetime.datetime):
        fence (int): Attempt that the lease is for.
        started_at (datetime.datetime):
        worker_id (str):
    """

    expires_at: datetime.datetime
    fence: int
    started_at: datetime.datetime
    worker_id: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        expires_at = self.expires_at.isoformat()

        fence = self.fence

        started_at = self.started_at.isoformat()

        worker_id = self.worker_id

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "expires_at": expires_at,
                "fence": fence,
                "started_at": started_at,
                "worker_id": worker_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        fence = d.pop("fence")

        started_at = datetime.datetime.fromisoformat(d.pop("started_at").replace("Z", "+00:00"))

        worker_id = d.pop("worker_id")

        lease_view = cls(
            expires_at=expires_at,
            fence=fence,
            started_at=started_at,
            worker_id=worker_id,
        )

        lease_view.additional_properties = d
        return lease_view

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
