from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.assignment import Assignment


T = TypeVar("T", bound="HandedOutTask")


@_attrs_define
class HandedOutTask:
    """Task with its lease.

    Attributes:
        expires_at (datetime.datetime): Time at which the lease expires unless a heartbeat extends it. The first one is
            due much
            earlier than the ones after it.
        fence (int): Attempt that the lease is for.
        heartbeat_s (int): Longest time between heartbeats that is safe, in seconds. Send the first one at once.
        lease (str): Opaque name of the lease, for the paths of the other calls.
        task (Assignment): Assignment: the document that local commands read as well.
        token (str): Secret that every call about the lease must carry, as `Authorization: Bearer TOKEN`.
    """

    expires_at: datetime.datetime
    fence: int
    heartbeat_s: int
    lease: str
    task: Assignment
    token: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        expires_at = self.expires_at.isoformat()

        fence = self.fence

        heartbeat_s = self.heartbeat_s

        lease = self.lease

        task = self.task.to_dict()

        token = self.token

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "expires_at": expires_at,
                "fence": fence,
                "heartbeat_s": heartbeat_s,
                "lease": lease,
                "task": task,
                "token": token,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.assignment import Assignment  # noqa: PLC0415

        d = dict(src_dict)
        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        fence = d.pop("fence")

        heartbeat_s = d.pop("heartbeat_s")

        lease = d.pop("lease")

        task = Assignment.from_dict(d.pop("task"))

        token = d.pop("token")

        handed_out_task = cls(
            expires_at=expires_at,
            fence=fence,
            heartbeat_s=heartbeat_s,
            lease=lease,
            task=task,
            token=token,
        )

        handed_out_task.additional_properties = d
        return handed_out_task

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
