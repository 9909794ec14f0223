from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.interrupt_metadata import InterruptMetadata


T = TypeVar("T", bound="InterruptView")


@_attrs_define
class InterruptView:
    """Interrupt of AG-UI.

    Attributes:
        expires_at (datetime.datetime):
        id (UUID): Id of the request.
        message (str): Question.
        metadata (InterruptMetadata): Details of an interrupt that AG-UI has no members for.
        reason (str): `confirmation` for a review, `input_required` for a question, and `botarmy:failure` for a failure.
        response_schema (Any): JSON Schema of `payload` in the answer.
    """

    expires_at: datetime.datetime
    id: UUID
    message: str
    metadata: InterruptMetadata
    reason: str
    response_schema: Any
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        expires_at = self.expires_at.isoformat()

        id = str(self.id)

        message = self.message

        metadata = self.metadata.to_dict()

        reason = self.reason

        response_schema = self.response_schema

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "expiresAt": expires_at,
                "id": id,
                "message": message,
                "metadata": metadata,
                "reason": reason,
                "responseSchema": response_schema,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.interrupt_metadata import InterruptMetadata  # noqa: PLC0415

        d = dict(src_dict)
        expires_at = datetime.datetime.fromisoformat(d.pop("expiresAt").replace("Z", "+00:00"))

        id = UUID(d.pop("id"))

        message = d.pop("message")

        metadata = InterruptMetadata.from_dict(d.pop("metadata"))

        reason = d.pop("reason")

        response_schema = d.pop("responseSchema")

        interrupt_view = cls(
            expires_at=expires_at,
            id=id,
            message=message,
            metadata=metadata,
            reason=reason,
            response_schema=response_schema,
        )

        interrupt_view.additional_properties = d
        return interrupt_view

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
