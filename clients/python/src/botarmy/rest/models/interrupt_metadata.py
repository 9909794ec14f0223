from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.hitl_kind import HitlKind

T = TypeVar("T", bound="InterruptMetadata")


@_attrs_define
class InterruptMetadata:
    """Details of an interrupt that AG-UI has no members for.

    Attributes:
        kind (HitlKind):
        options (list[str]): Suggested answers.
        project_id (UUID):
        subject_digest (str): Digest of the subject. Sent back in the payload as `subject_digest`, it makes the server
            refuse an
            answer to a subject that has changed since.
    """

    kind: HitlKind
    options: list[str]
    project_id: UUID
    subject_digest: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind.value

        options = self.options

        project_id = str(self.project_id)

        subject_digest = self.subject_digest

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "options": options,
                "project_id": project_id,
                "subject_digest": subject_digest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        kind = HitlKind(d.pop("kind"))

        options = cast(list[str], d.pop("options"))

        project_id = UUID(d.pop("project_id"))

        subject_digest = d.pop("subject_digest")

        interrupt_metadata = cls(
            kind=kind,
            options=options,
            project_id=project_id,
            subject_digest=subject_digest,
        )

        interrupt_metadata.additional_properties = d
        return interrupt_metadata

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
