from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.probe_view_status import ProbeViewStatus

if TYPE_CHECKING:
    from ..models.probe_view_checks import ProbeViewChecks


T = TypeVar("T", bound="ProbeView")


@_attrs_define
class ProbeView:
    """Health of the components, for probes.

    Attributes:
        checks (ProbeViewChecks): `pass` or `fail` for each component. One that the configuration does not use passes.
        health_percentage (float):
        service (str):
        services_healthy (str): Number of healthy components of all, such as `4/4`.
        status (ProbeViewStatus): `healthy` or `degraded`.
        timestamp (datetime.datetime):
        version (str):
    """

    checks: ProbeViewChecks
    health_percentage: float
    service: str
    services_healthy: str
    status: ProbeViewStatus
    timestamp: datetime.datetime
    version: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        checks = self.checks.to_dict()

        health_percentage = self.health_percentage

        service = self.service

        services_healthy = self.services_healthy

        status = self.status.value

        timestamp = self.timestamp.isoformat()

        version = self.version

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "checks": checks,
                "health_percentage": health_percentage,
                "service": service,
                "services_healthy": services_healthy,
                "status": status,
                "timestamp": timestamp,
                "version": version,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.probe_view_checks import ProbeViewChecks  # noqa: PLC0415

        d = dict(src_dict)
        checks = ProbeViewChecks.from_dict(d.pop("checks"))

        health_percentage = d.pop("health_percentage")

        service = d.pop("service")

        services_healthy = d.pop("services_healthy")

        status = ProbeViewStatus(d.pop("status"))

        timestamp = datetime.datetime.fromisoformat(d.pop("timestamp").replace("Z", "+00:00"))

        version = d.pop("version")

        probe_view = cls(
            checks=checks,
            health_percentage=health_percentage,
            service=service,
            services_healthy=services_healthy,
            status=status,
            timestamp=timestamp,
            version=version,
        )

        probe_view.additional_properties = d
        return probe_view

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
