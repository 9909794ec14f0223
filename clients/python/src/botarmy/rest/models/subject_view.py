from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.subject_artifact_view import SubjectArtifactView


T = TypeVar("T", bound="SubjectView")


@_attrs_define
class SubjectView:
    """Artifacts under review, with a digest over all of them.

    Attributes:
        artifacts (list[SubjectArtifactView]):
        digest (str): SHA-256 over the artifacts. Sent back as `subject_digest`, it makes the server refuse an answer
            to artifacts that have changed since.
    """

    artifacts: list[SubjectArtifactView]
    digest: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = artifacts_item_data.to_dict()
            artifacts.append(artifacts_item)

        digest = self.digest

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "artifacts": artifacts,
                "digest": digest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.subject_artifact_view import SubjectArtifactView  # noqa: PLC0415

        d = dict(src_dict)
        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = SubjectArtifactView.from_dict(artifacts_item_data)

            artifacts.append(artifacts_item)

        digest = d.pop("digest")

        subject_view = cls(
            artifacts=artifacts,
            digest=digest,
        )

        subject_view.additional_properties = d
        return subject_view

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
