from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.event_type import EventType

if TYPE_CHECKING:
    from ..models.webhook_disabled import WebhookDisabled


T = TypeVar("T", bound="Webhook")


@_attrs_define
class Webhook:
    """Subscription, without its secret.

    Attributes:
        created_at (datetime.datetime):
        description (str):
        disabled (None | WebhookDisabled):
        enabled (bool): Whether anything is sent.
        events (list[EventType]): Types of entries that are sent; empty for all.
        id (UUID):
        owner_id (None | UUID): Principal whose rights limit what is sent; null if it was created on an open server.
        previous_secret_until (datetime.datetime | None): Time until which the replaced secret still signs; null if
            there is none.
        project_id (None | UUID): Project whose log is sent; null for all logs.
        public_key (str): Public key for signatures of the version `v1a`. Example:
            whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=.
        updated_at (datetime.datetime):
        url (str): Address that receives the messages.
    """

    created_at: datetime.datetime
    description: str
    disabled: None | WebhookDisabled
    enabled: bool
    events: list[EventType]
    id: UUID
    owner_id: None | UUID
    previous_secret_until: datetime.datetime | None
    project_id: None | UUID
    public_key: str
    updated_at: datetime.datetime
    url: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.webhook_disabled import WebhookDisabled  # noqa: PLC0415

        created_at = self.created_at.isoformat()

        description = self.description

        disabled: dict[str, Any] | None
        if isinstance(self.disabled, WebhookDisabled):
            disabled = self.disabled.to_dict()
        else:
            disabled = self.disabled

        enabled = self.enabled

        events = []
        for events_item_data in self.events:
            events_item = events_item_data.value
            events.append(events_item)

        id = str(self.id)

        owner_id: None | str
        if isinstance(self.owner_id, UUID):
            owner_id = str(self.owner_id)
        else:
            owner_id = self.owner_id

        previous_secret_until: None | str
        if isinstance(self.previous_secret_until, datetime.datetime):
            previous_secret_until = self.previous_secret_until.isoformat()
        else:
            previous_secret_until = self.previous_secret_until

        project_id: None | str
        if isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        public_key = self.public_key

        updated_at = self.updated_at.isoformat()

        url = self.url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created_at": created_at,
                "description": description,
                "disabled": disabled,
                "enabled": enabled,
                "events": events,
                "id": id,
                "owner_id": owner_id,
                "previous_secret_until": previous_secret_until,
                "project_id": project_id,
                "public_key": public_key,
                "updated_at": updated_at,
                "url": url,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.webhook_disabled import WebhookDisabled  # noqa: PLC0415

        d = dict(src_dict)
        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        description = d.pop("description")

        def _parse_disabled(data: object) -> None | WebhookDisabled:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                disabled_type_0 = WebhookDisabled.from_dict(data)

                return disabled_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | WebhookDisabled, data)

        disabled = _parse_disabled(d.pop("disabled"))

        enabled = d.pop("enabled")

        events = []
        _events = d.pop("events")
        for events_item_data in _events:
            events_item = EventType(events_item_data)

            events.append(events_item)

        id = UUID(d.pop("id"))

        def _parse_owner_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                owner_id_type_0 = UUID(data)

                return owner_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        owner_id = _parse_owner_id(d.pop("owner_id"))

        def _parse_previous_secret_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_secret_until_type_0 = datetime.datetime.fromisoformat(
                    data.replace("Z", "+00:00")
                )

                return previous_secret_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        previous_secret_until = _parse_previous_secret_until(d.pop("previous_secret_until"))

        def _parse_project_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        project_id = _parse_project_id(d.pop("project_id"))

        public_key = d.pop("public_key")

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        url = d.pop("url")

        webhook = cls(
            created_at=created_at,
            description=description,
            disabled=disabled,
            enabled=enabled,
            events=events,
            id=id,
            owner_id=owner_id,
            previous_secret_until=previous_secret_until,
            project_id=project_id,
            public_key=public_key,
            updated_at=updated_at,
            url=url,
        )

        webhook.additional_properties = d
        return webhook

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
