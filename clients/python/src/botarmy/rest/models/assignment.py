from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.assigned_artifact import AssignedArtifact
    from ..models.assigned_task import AssignedTask
    from ..models.resume_view import ResumeView


T = TypeVar("T", bound="Assignment")


@_attrs_define
class Assignment:
    """Assignment: the document that local commands read as well.

    Attributes:
        context (list[AssignedArtifact]): Artifacts that the task may read.
        contract (str): `botarmy.command/1`.
        output_schema (Any): JSON Schema of the output, if the step declares one.
        resume (None | ResumeView):
        task (AssignedTask): Task of an assignment.
    """

    context: list[AssignedArtifact]
    contract: str
    output_schema: Any
    resume: None | ResumeView
    task: AssignedTask
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.resume_view import ResumeView  # noqa: PLC0415

        context = []
        for context_item_data in self.context:
            context_item = context_item_data.to_dict()
            context.append(context_item)

        contract = self.contract

        output_schema = self.output_schema

        resume: dict[str, Any] | None
        if isinstance(self.resume, ResumeView):
            resume = self.resume.to_dict()
        else:
            resume = self.resume

        task = self.task.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "context": context,
                "contract": contract,
                "output_schema": output_schema,
                "resume": resume,
                "task": task,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.assigned_artifact import AssignedArtifact  # noqa: PLC0415
        from ..models.assigned_task import AssignedTask  # noqa: PLC0415
        from ..models.resume_view import ResumeView  # noqa: PLC0415

        d = dict(src_dict)
        context = []
        _context = d.pop("context")
        for context_item_data in _context:
            context_item = AssignedArtifact.from_dict(context_item_data)

            context.append(context_item)

        contract = d.pop("contract")

        output_schema = d.pop("output_schema")

        def _parse_resume(data: object) -> None | ResumeView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                resume_type_0 = ResumeView.from_dict(data)

                return resume_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | ResumeView, data)

        resume = _parse_resume(d.pop("resume"))

        task = AssignedTask.from_dict(d.pop("task"))

        assignment = cls(
            context=context,
            contract=contract,
            output_schema=output_schema,
            resume=resume,
            task=task,
        )

        assignment.additional_properties = d
        return assignment

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
