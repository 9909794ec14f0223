from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.a2a_status_view import A2AStatusView


T = TypeVar("T", bound="A2ATaskView")


@_attrs_define
class A2ATaskView:
    """Task of A2A that waits for input.

    Attributes:
        context_id (UUID): Id of the project.
        id (UUID): Id of the request.
        status (A2AStatusView): Status of a task of A2A.
    """

    context_id: UUID
    id: UUID
    status: A2AStatusView
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        context_id = str(self.context_id)

        id = str(self.id)

        status = self.status.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "contextId": context_id,
                "id": id,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.a2a_status_view import A2AStatusView  # noqa: PLC0415

        d = dict(src_dict)
        context_id = UUID(d.pop("contextId"))

        id = UUID(d.pop("id"))

        status = A2AStatusView.from_dict(d.pop("status"))

        a2a_task_view = cls(
            context_id=context_id,
            id=id,
            status=status,
        )

        a2a_task_view.additional_properties = d
        return a2a_task_view

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
