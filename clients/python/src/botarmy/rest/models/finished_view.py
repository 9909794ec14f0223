from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.task_status import TaskStatus
from ..types import UNSET, Unset

T = TypeVar("T", bound="FinishedView")


@_attrs_define
class FinishedView:
    """Task after its attempt.

    Attributes:
        status (TaskStatus):
        task_id (UUID):
        hitl_request_id (None | Unset | UUID): Request that waits for a person.
        retry_at (datetime.datetime | None | Unset): Earliest time of the next attempt.
    """

    status: TaskStatus
    task_id: UUID
    hitl_request_id: None | Unset | UUID = UNSET
    retry_at: datetime.datetime | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status.value

        task_id = str(self.task_id)

        hitl_request_id: None | str | Unset
        if isinstance(self.hitl_request_id, Unset):
            hitl_request_id = UNSET
        elif isinstance(self.hitl_request_id, UUID):
            hitl_request_id = str(self.hitl_request_id)
        else:
            hitl_request_id = self.hitl_request_id

        retry_at: None | str | Unset
        if isinstance(self.retry_at, Unset):
            retry_at = UNSET
        elif isinstance(self.retry_at, datetime.datetime):
            retry_at = self.retry_at.isoformat()
        else:
            retry_at = self.retry_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "task_id": task_id,
            }
        )
        if hitl_request_id is not UNSET:
            field_dict["hitl_request_id"] = hitl_request_id
        if retry_at is not UNSET:
            field_dict["retry_at"] = retry_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        status = TaskStatus(d.pop("status"))

        task_id = UUID(d.pop("task_id"))

        def _parse_hitl_request_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                hitl_request_id_type_0 = UUID(data)

                return hitl_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        hitl_request_id = _parse_hitl_request_id(d.pop("hitl_request_id", UNSET))

        def _parse_retry_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                retry_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return retry_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        retry_at = _parse_retry_at(d.pop("retry_at", UNSET))

        finished_view = cls(
            status=status,
            task_id=task_id,
            hitl_request_id=hitl_request_id,
            retry_at=retry_at,
        )

        finished_view.additional_properties = d
        return finished_view

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
