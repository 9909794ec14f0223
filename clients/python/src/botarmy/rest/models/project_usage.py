from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.model_spent_view import ModelSpentView
    from ..models.project_usage_by_agent_type import ProjectUsageByAgentType
    from ..models.spent_view import SpentView


T = TypeVar("T", bound="ProjectUsage")


@_attrs_define
class ProjectUsage:
    """Usage of a project.

    Attributes:
        by_agent_type (ProjectUsageByAgentType):
        by_model (list[ModelSpentView]):
        project_id (UUID):
        total (SpentView): Amount that was spent.
    """

    by_agent_type: ProjectUsageByAgentType
    by_model: list[ModelSpentView]
    project_id: UUID
    total: SpentView
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        by_agent_type = self.by_agent_type.to_dict()

        by_model = []
        for by_model_item_data in self.by_model:
            by_model_item = by_model_item_data.to_dict()
            by_model.append(by_model_item)

        project_id = str(self.project_id)

        total = self.total.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "by_agent_type": by_agent_type,
                "by_model": by_model,
                "project_id": project_id,
                "total": total,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.model_spent_view import ModelSpentView  # noqa: PLC0415
        from ..models.project_usage_by_agent_type import ProjectUsageByAgentType  # noqa: PLC0415
        from ..models.spent_view import SpentView  # noqa: PLC0415

        d = dict(src_dict)
        by_agent_type = ProjectUsageByAgentType.from_dict(d.pop("by_agent_type"))

        by_model = []
        _by_model = d.pop("by_model")
        for by_model_item_data in _by_model:
            by_model_item = ModelSpentView.from_dict(by_model_item_data)

            by_model.append(by_model_item)

        project_id = UUID(d.pop("project_id"))

        total = SpentView.from_dict(d.pop("total"))

        project_usage = cls(
            by_agent_type=by_agent_type,
            by_model=by_model,
            project_id=project_id,
            total=total,
        )

        project_usage.additional_properties = d
        return project_usage

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
