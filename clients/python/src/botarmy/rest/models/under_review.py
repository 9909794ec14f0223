from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.artifact import Artifact


T = TypeVar("T", bound="UnderReview")


@_attrs_define
class UnderReview:
    """Artifacts under review, with their content.

    Attributes:
        artifacts (list[Artifact]):
        project_id (UUID):
        request_id (UUID):
        subject_digest (str): SHA-256 over the artifacts. Sent back as `subject_digest`, it makes the server refuse an
            answer
            to artifacts that have changed since.
    """

    artifacts: list[Artifact]
    project_id: UUID
    request_id: UUID
    subject_digest: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = artifacts_item_data.to_dict()
            artifacts.append(artifacts_item)

        project_id = str(self.project_id)

        request_id = str(self.request_id)

        subject_digest = self.subject_digest

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifacts": artifacts,
                "project_id": project_id,
                "request_id": request_id,
                "subject_digest": subject_digest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.artifact import Artifact  # noqa: PLC0415

        d = dict(src_dict)
        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = Artifact.from_dict(artifacts_item_data)

            artifacts.append(artifacts_item)

        project_id = UUID(d.pop("project_id"))

        request_id = UUID(d.pop("request_id"))

        subject_digest = d.pop("subject_digest")

        under_review = cls(
            artifacts=artifacts,
            project_id=project_id,
            request_id=request_id,
            subject_digest=subject_digest,
        )

        under_review.additional_properties = d
        return under_review

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
