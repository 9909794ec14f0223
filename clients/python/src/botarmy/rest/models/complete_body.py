from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.made_artifact import MadeArtifact
    from ..models.usage_body import UsageBody


T = TypeVar("T", bound="CompleteBody")


@_attrs_define
class CompleteBody:
    """Result of a task.

    Attributes:
        output (Any): Output. For a step of a workflow it is the document that the step produces, unless one of the
            artifacts is.
        artifacts (list[MadeArtifact] | None | Unset):
        confidence (float | None | Unset): Confidence in the result, 0 to 1.
        usage (None | Unset | UsageBody):
    """

    output: Any
    artifacts: list[MadeArtifact] | None | Unset = UNSET
    confidence: float | None | Unset = UNSET
    usage: None | Unset | UsageBody = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        output = self.output

        artifacts: list[dict[str, Any]] | None | Unset
        if isinstance(self.artifacts, Unset):
            artifacts = UNSET
        elif isinstance(self.artifacts, list):
            artifacts = []
            for artifacts_type_0_item_data in self.artifacts:
                artifacts_type_0_item = artifacts_type_0_item_data.to_dict()
                artifacts.append(artifacts_type_0_item)

        else:
            artifacts = self.artifacts

        confidence: float | None | Unset
        if isinstance(self.confidence, Unset):
            confidence = UNSET
        else:
            confidence = self.confidence

        usage: dict[str, Any] | None | Unset
        if isinstance(self.usage, Unset):
            usage = UNSET
        elif isinstance(self.usage, UsageBody):
            usage = self.usage.to_dict()
        else:
            usage = self.usage

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "output": output,
            }
        )
        if artifacts is not UNSET:
            field_dict["artifacts"] = artifacts
        if confidence is not UNSET:
            field_dict["confidence"] = confidence
        if usage is not UNSET:
            field_dict["usage"] = usage

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.made_artifact import MadeArtifact  # noqa: PLC0415
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        d = dict(src_dict)
        output = d.pop("output")

        def _parse_artifacts(data: object) -> list[MadeArtifact] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                artifacts_type_0 = []
                _artifacts_type_0 = data
                for artifacts_type_0_item_data in _artifacts_type_0:
                    artifacts_type_0_item = MadeArtifact.from_dict(artifacts_type_0_item_data)

                    artifacts_type_0.append(artifacts_type_0_item)

                return artifacts_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[MadeArtifact] | None | Unset, data)

        artifacts = _parse_artifacts(d.pop("artifacts", UNSET))

        def _parse_confidence(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        confidence = _parse_confidence(d.pop("confidence", UNSET))

        def _parse_usage(data: object) -> None | Unset | UsageBody:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                usage_type_0 = UsageBody.from_dict(data)

                return usage_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UsageBody, data)

        usage = _parse_usage(d.pop("usage", UNSET))

        complete_body = cls(
            output=output,
            artifacts=artifacts,
            confidence=confidence,
            usage=usage,
        )

        return complete_body
