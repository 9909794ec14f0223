from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.oversight import Oversight
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewProjectBody")


@_attrs_define
class NewProjectBody:
    """Request for a new project.

    Attributes:
        name (str): Name; must not be blank.
        description (None | str | Unset): Description; with a workflow, the idea it starts with.
        oversight (None | Oversight | Unset):
        workflow (None | str | Unset): Workflow to start at once. Without one the project is driven by hand, task by
            task.
    """

    name: str
    description: None | str | Unset = UNSET
    oversight: None | Oversight | Unset = UNSET
    workflow: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        oversight: None | str | Unset
        if isinstance(self.oversight, Unset):
            oversight = UNSET
        elif isinstance(self.oversight, Oversight):
            oversight = self.oversight.value
        else:
            oversight = self.oversight

        workflow: None | str | Unset
        if isinstance(self.workflow, Unset):
            workflow = UNSET
        else:
            workflow = self.workflow

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
            }
        )
        if description is not UNSET:
            field_dict["description"] = description
        if oversight is not UNSET:
            field_dict["oversight"] = oversight
        if workflow is not UNSET:
            field_dict["workflow"] = workflow

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))

        def _parse_oversight(data: object) -> None | Oversight | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                oversight_type_0 = Oversight(data)

                return oversight_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Oversight | Unset, data)

        oversight = _parse_oversight(d.pop("oversight", UNSET))

        def _parse_workflow(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        workflow = _parse_workflow(d.pop("workflow", UNSET))

        new_project_body = cls(
            name=name,
            description=description,
            oversight=oversight,
            workflow=workflow,
        )

        return new_project_body
