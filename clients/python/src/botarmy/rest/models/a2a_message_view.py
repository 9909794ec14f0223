from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="A2AMessageView")


@_attrs_define
class A2AMessageView:
    """Message of A2A.

    Attributes:
        context_id (UUID):
        message_id (str): Digest of the subject, which changes with the question and the documents.
        parts (list[Any]): The question as text; then, as data, the kind, the suggested answers, the digest of the
            subject
            and the schema of the answer.
        role (str): `ROLE_AGENT`.
        task_id (UUID):
    """

    context_id: UUID
    message_id: str
    parts: list[Any]
    role: str
    task_id: UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        context_id = str(self.context_id)

        message_id = self.message_id

        parts = self.parts

        role = self.role

        task_id = str(self.task_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "contextId": context_id,
                "messageId": message_id,
                "parts": parts,
                "role": role,
                "taskId": task_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        context_id = UUID(d.pop("contextId"))

        message_id = d.pop("messageId")

        parts = cast(list[Any], d.pop("parts"))

        role = d.pop("role")

        task_id = UUID(d.pop("taskId"))

        a2a_message_view = cls(
            context_id=context_id,
            message_id=message_id,
            parts=parts,
            role=role,
            task_id=task_id,
        )

        a2a_message_view.additional_properties = d
        return a2a_message_view

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
