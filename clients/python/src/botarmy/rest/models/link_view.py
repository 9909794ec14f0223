from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="LinkView")


@_attrs_define
class LinkView:
    """Sign-in link that was just created, with its secret.

    Attributes:
        code (str): One-time code, to be pasted into the sign-in page.
        created_at (datetime.datetime):
        expires_at (datetime.datetime): Time from which it is refused.
        id (UUID):
        principal_id (UUID): Person who signs in with it.
        url (str): Address to open in the browser, with the code. It is shown here once, and stored nowhere.
    """

    code: str
    created_at: datetime.datetime
    expires_at: datetime.datetime
    id: UUID
    principal_id: UUID
    url: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        code = self.code

        created_at = self.created_at.isoformat()

        expires_at = self.expires_at.isoformat()

        id = str(self.id)

        principal_id = str(self.principal_id)

        url = self.url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "code": code,
                "created_at": created_at,
                "expires_at": expires_at,
                "id": id,
                "principal_id": principal_id,
                "url": url,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        code = d.pop("code")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        id = UUID(d.pop("id"))

        principal_id = UUID(d.pop("principal_id"))

        url = d.pop("url")

        link_view = cls(
            code=code,
            created_at=created_at,
            expires_at=expires_at,
            id=id,
            principal_id=principal_id,
            url=url,
        )

        link_view.additional_properties = d
        return link_view

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
