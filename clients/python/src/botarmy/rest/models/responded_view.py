from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.hitl_action import HitlAction
from ..models.hitl_status import HitlStatus

T = TypeVar("T", bound="RespondedView")


@_attrs_define
class RespondedView:
    """Effect of a response.

    Attributes:
        action (HitlAction):
        message (str):
        request_id (UUID):
        status (HitlStatus):
        workflow_resumed (bool): Whether work goes on because of the response.
    """

    action: HitlAction
    message: str
    request_id: UUID
    status: HitlStatus
    workflow_resumed: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        action = self.action.value

        message = self.message

        request_id = str(self.request_id)

        status = self.status.value

        workflow_resumed = self.workflow_resumed

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "action": action,
                "message": message,
                "request_id": request_id,
                "status": status,
                "workflow_resumed": workflow_resumed,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        action = HitlAction(d.pop("action"))

        message = d.pop("message")

        request_id = UUID(d.pop("request_id"))

        status = HitlStatus(d.pop("status"))

        workflow_resumed = d.pop("workflow_resumed")

        responded_view = cls(
            action=action,
            message=message,
            request_id=request_id,
            status=status,
            workflow_resumed=workflow_resumed,
        )

        responded_view.additional_properties = d
        return responded_view

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
