from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.step_view import StepView


T = TypeVar("T", bound="ProgressView")


@_attrs_define
class ProgressView:
    """Progress in a workflow.

    Attributes:
        idea (str):
        phase (None | str): Phase of the current step; null when every step is over.
        step (None | str): Current step; null when every step is over.
        steps (list[StepView]):
        workflow (str):
        workflow_digest (str): SHA-256 of the workflow definition at the start of the project, in hexadecimal.
    """

    idea: str
    phase: None | str
    step: None | str
    steps: list[StepView]
    workflow: str
    workflow_digest: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        idea = self.idea

        phase: None | str
        phase = self.phase

        step: None | str
        step = self.step

        steps = []
        for steps_item_data in self.steps:
            steps_item = steps_item_data.to_dict()
            steps.append(steps_item)

        workflow = self.workflow

        workflow_digest = self.workflow_digest

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "idea": idea,
                "phase": phase,
                "step": step,
                "steps": steps,
                "workflow": workflow,
                "workflow_digest": workflow_digest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.step_view import StepView  # noqa: PLC0415

        d = dict(src_dict)
        idea = d.pop("idea")

        def _parse_phase(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        phase = _parse_phase(d.pop("phase"))

        def _parse_step(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        step = _parse_step(d.pop("step"))

        steps = []
        _steps = d.pop("steps")
        for steps_item_data in _steps:
            steps_item = StepView.from_dict(steps_item_data)

            steps.append(steps_item)

        workflow = d.pop("workflow")

        workflow_digest = d.pop("workflow_digest")

        progress_view = cls(
            idea=idea,
            phase=phase,
            step=step,
            steps=steps,
            workflow=workflow,
            workflow_digest=workflow_digest,
        )

        progress_view.additional_properties = d
        return progress_view

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
