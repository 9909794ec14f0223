from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="StartBody")


@_attrs_define
class StartBody:
    """Choice of a workflow and an idea.

    Attributes:
        idea (None | str | Unset): Idea; when absent, the project's description, else its name.
        workflow (None | str | Unset): Workflow; `sdlc` when absent.
    """

    idea: None | str | Unset = UNSET
    workflow: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        idea: None | str | Unset
        if isinstance(self.idea, Unset):
            idea = UNSET
        else:
            idea = self.idea

        workflow: None | str | Unset
        if isinstance(self.workflow, Unset):
            workflow = UNSET
        else:
            workflow = self.workflow

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if idea is not UNSET:
            field_dict["idea"] = idea
        if workflow is not UNSET:
            field_dict["workflow"] = workflow

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_idea(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        idea = _parse_idea(d.pop("idea", UNSET))

        def _parse_workflow(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        workflow = _parse_workflow(d.pop("workflow", UNSET))

        start_body = cls(
            idea=idea,
            workflow=workflow,
        )

        return start_body
