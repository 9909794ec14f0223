from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.amount_view import AmountView
    from ..models.limit_view import LimitView


T = TypeVar("T", bound="Budget")


@_attrs_define
class Budget:
    """Budget of a project.

    Attributes:
        is_set (bool): Whether people set the limit.
        left (LimitView): Limit of tokens and money; `null` where there is no limit.
        limit (LimitView): Limit of tokens and money; `null` where there is no limit.
        project_id (UUID):
        reserved (AmountView): Amount of tokens and money.
        used (AmountView): Amount of tokens and money.
    """

    is_set: bool
    left: LimitView
    limit: LimitView
    project_id: UUID
    reserved: AmountView
    used: AmountView
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        is_set = self.is_set

        left = self.left.to_dict()

        limit = self.limit.to_dict()

        project_id = str(self.project_id)

        reserved = self.reserved.to_dict()

        used = self.used.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "is_set": is_set,
                "left": left,
                "limit": limit,
                "project_id": project_id,
                "reserved": reserved,
                "used": used,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.amount_view import AmountView  # noqa: PLC0415
        from ..models.limit_view import LimitView  # noqa: PLC0415

        d = dict(src_dict)
        is_set = d.pop("is_set")

        left = LimitView.from_dict(d.pop("left"))

        limit = LimitView.from_dict(d.pop("limit"))

        project_id = UUID(d.pop("project_id"))

        reserved = AmountView.from_dict(d.pop("reserved"))

        used = AmountView.from_dict(d.pop("used"))

        budget = cls(
            is_set=is_set,
            left=left,
            limit=limit,
            project_id=project_id,
            reserved=reserved,
            used=used,
        )

        budget.additional_properties = d
        return budget

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
