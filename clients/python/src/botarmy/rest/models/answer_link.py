from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.link_action import LinkAction

T = TypeVar("T", bound="AnswerLink")


@_attrs_define
class AnswerLink:
    """Link, without its secret.

    Attributes:
        actions (list[LinkAction]):
        expires_at (datetime.datetime):
        id (UUID):
        issued_at (datetime.datetime):
        issued_by (str):
        person (str): Person who answers with it.
        principal_id (None | UUID): Principal of that person; null on an open server.
        revoked_at (datetime.datetime | None):
        subject_digest (str): Digest of the subject that it is about. It cannot be used for another one.
        used_at (datetime.datetime | None): Time of the answer that was given with it.
    """

    actions: list[LinkAction]
    expires_at: datetime.datetime
    id: UUID
    issued_at: datetime.datetime
    issued_by: str
    person: str
    principal_id: None | UUID
    revoked_at: datetime.datetime | None
    subject_digest: str
    used_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        actions = []
        for actions_item_data in self.actions:
            actions_item = actions_item_data.value
            actions.append(actions_item)

        expires_at = self.expires_at.isoformat()

        id = str(self.id)

        issued_at = self.issued_at.isoformat()

        issued_by = self.issued_by

        person = self.person

        principal_id: None | str
        if isinstance(self.principal_id, UUID):
            principal_id = str(self.principal_id)
        else:
            principal_id = self.principal_id

        revoked_at: None | str
        if isinstance(self.revoked_at, datetime.datetime):
            revoked_at = self.revoked_at.isoformat()
        else:
            revoked_at = self.revoked_at

        subject_digest = self.subject_digest

        used_at: None | str
        if isinstance(self.used_at, datetime.datetime):
            used_at = self.used_at.isoformat()
        else:
            used_at = self.used_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "actions": actions,
                "expires_at": expires_at,
                "id": id,
                "issued_at": issued_at,
                "issued_by": issued_by,
                "person": person,
                "principal_id": principal_id,
                "revoked_at": revoked_at,
                "subject_digest": subject_digest,
                "used_at": used_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        actions = []
        _actions = d.pop("actions")
        for actions_item_data in _actions:
            actions_item = LinkAction(actions_item_data)

            actions.append(actions_item)

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        id = UUID(d.pop("id"))

        issued_at = datetime.datetime.fromisoformat(d.pop("issued_at").replace("Z", "+00:00"))

        issued_by = d.pop("issued_by")

        person = d.pop("person")

        def _parse_principal_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                principal_id_type_0 = UUID(data)

                return principal_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        principal_id = _parse_principal_id(d.pop("principal_id"))

        def _parse_revoked_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                revoked_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return revoked_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        revoked_at = _parse_revoked_at(d.pop("revoked_at"))

        subject_digest = d.pop("subject_digest")

        def _parse_used_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                used_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return used_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        used_at = _parse_used_at(d.pop("used_at"))

        answer_link = cls(
            actions=actions,
            expires_at=expires_at,
            id=id,
            issued_at=issued_at,
            issued_by=issued_by,
            person=person,
            principal_id=principal_id,
            revoked_at=revoked_at,
            subject_digest=subject_digest,
            used_at=used_at,
        )

        answer_link.additional_properties = d
        return answer_link

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
