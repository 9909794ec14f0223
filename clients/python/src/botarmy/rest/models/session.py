from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.address_class import AddressClass
from ..models.authentication import Authentication

if TYPE_CHECKING:
    from ..models.grant import Grant


T = TypeVar("T", bound="Session")


@_attrs_define
class Session:
    """Session of a browser, without its secret.

    Attributes:
        address (AddressClass):
        expires_at (datetime.datetime): Time from which it is refused, however much it is used.
        grants (list[Grant] | None): Grants to which it narrows those of the person; null for all of them.
        id (UUID):
        is_current (bool): Whether the request itself came with this session.
        key_id (None | UUID): Key that the session ends with; null without one.
        last_used_at (datetime.datetime): Time of the last use, to the minute.
        name (str): Name of the person.
        principal_id (UUID): Person who signed in.
        started_at (datetime.datetime): Time of the sign-in.
        started_with (Authentication):
    """

    address: AddressClass
    expires_at: datetime.datetime
    grants: list[Grant] | None
    id: UUID
    is_current: bool
    key_id: None | UUID
    last_used_at: datetime.datetime
    name: str
    principal_id: UUID
    started_at: datetime.datetime
    started_with: Authentication
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        address = self.address.value

        expires_at = self.expires_at.isoformat()

        grants: list[dict[str, Any]] | None
        if isinstance(self.grants, list):
            grants = []
            for grants_type_0_item_data in self.grants:
                grants_type_0_item = grants_type_0_item_data.to_dict()
                grants.append(grants_type_0_item)

        else:
            grants = self.grants

        id = str(self.id)

        is_current = self.is_current

        key_id: None | str
        if isinstance(self.key_id, UUID):
            key_id = str(self.key_id)
        else:
            key_id = self.key_id

        last_used_at = self.last_used_at.isoformat()

        name = self.name

        principal_id = str(self.principal_id)

        started_at = self.started_at.isoformat()

        started_with = self.started_with.value

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "address": address,
                "expires_at": expires_at,
                "grants": grants,
                "id": id,
                "is_current": is_current,
                "key_id": key_id,
                "last_used_at": last_used_at,
                "name": name,
                "principal_id": principal_id,
                "started_at": started_at,
                "started_with": started_with,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.grant import Grant  # noqa: PLC0415

        d = dict(src_dict)
        address = AddressClass(d.pop("address"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        def _parse_grants(data: object) -> list[Grant] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                grants_type_0 = []
                _grants_type_0 = data
                for grants_type_0_item_data in _grants_type_0:
                    grants_type_0_item = Grant.from_dict(grants_type_0_item_data)

                    grants_type_0.append(grants_type_0_item)

                return grants_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[Grant] | None, data)

        grants = _parse_grants(d.pop("grants"))

        id = UUID(d.pop("id"))

        is_current = d.pop("is_current")

        def _parse_key_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                key_id_type_0 = UUID(data)

                return key_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        key_id = _parse_key_id(d.pop("key_id"))

        last_used_at = datetime.datetime.fromisoformat(d.pop("last_used_at").replace("Z", "+00:00"))

        name = d.pop("name")

        principal_id = UUID(d.pop("principal_id"))

        started_at = datetime.datetime.fromisoformat(d.pop("started_at").replace("Z", "+00:00"))

        started_with = Authentication(d.pop("started_with"))

        session = cls(
            address=address,
            expires_at=expires_at,
            grants=grants,
            id=id,
            is_current=is_current,
            key_id=key_id,
            last_used_at=last_used_at,
            name=name,
            principal_id=principal_id,
            started_at=started_at,
            started_with=started_with,
        )

        session.additional_properties = d
        return session

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
