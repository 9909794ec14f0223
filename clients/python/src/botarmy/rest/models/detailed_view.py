from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.detailed_view_status import DetailedViewStatus

if TYPE_CHECKING:
    from ..models.detailed_view_components import DetailedViewComponents


T = TypeVar("T", bound="DetailedView")


@_attrs_define
class DetailedView:
    """Health of the server with its components.

    Attributes:
        components (DetailedViewComponents):
        service (str):
        status (DetailedViewStatus): `healthy`, `degraded` (a component is unhealthy) or `unhealthy` (a needed component
            is).
        version (str):
    """

    components: DetailedViewComponents
    service: str
    status: DetailedViewStatus
    version: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        components = self.components.to_dict()

        service = self.service

        status = self.status.value

        version = self.version

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "components": components,
                "service": service,
                "status": status,
                "version": version,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.detailed_view_components import DetailedViewComponents  # noqa: PLC0415

        d = dict(src_dict)
        components = DetailedViewComponents.from_dict(d.pop("components"))

        service = d.pop("service")

        status = DetailedViewStatus(d.pop("status"))

        version = d.pop("version")

        detailed_view = cls(
            components=components,
            service=service,
            status=status,
            version=version,
        )

        detailed_view.additional_properties = d
        return detailed_view

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
