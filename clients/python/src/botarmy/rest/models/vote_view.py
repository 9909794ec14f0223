from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.authentication import Authentication
from ..models.hitl_action import HitlAction
from ..models.via import Via

T = TypeVar("T", bound="VoteView")


@_attrs_define
class VoteView:
    """Approval or rejection of one person.

    Attributes:
        action (HitlAction): Answer to a request.
        at (datetime.datetime):
        auth (Authentication):
        comment (None | str):
        content (None | str):
        entry_id (UUID): Log entry that recorded it.
        groups (list[str]): Groups of the person whose place it is, at the time of the vote.
        on_behalf_of (None | str): Person in whose place the voter voted.
        subject_digest (str):
        via (None | Via):
        voter (str):
    """

    action: HitlAction
    at: datetime.datetime
    auth: Authentication
    comment: None | str
    content: None | str
    entry_id: UUID
    groups: list[str]
    on_behalf_of: None | str
    subject_digest: str
    via: None | Via
    voter: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        action = self.action.value

        at = self.at.isoformat()

        auth = self.auth.value

        comment: None | str
        comment = self.comment

        content: None | str
        content = self.content

        entry_id = str(self.entry_id)

        groups = self.groups

        on_behalf_of: None | str
        on_behalf_of = self.on_behalf_of

        subject_digest = self.subject_digest

        via: None | str
        if isinstance(self.via, Via):
            via = self.via.value
        else:
            via = self.via

        voter = self.voter

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "action": action,
                "at": at,
                "auth": auth,
                "comment": comment,
                "content": content,
                "entry_id": entry_id,
                "groups": groups,
                "on_behalf_of": on_behalf_of,
                "subject_digest": subject_digest,
                "via": via,
                "voter": voter,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        action = HitlAction(d.pop("action"))

        at = datetime.datetime.fromisoformat(d.pop("at").replace("Z", "+00:00"))

        auth = Authentication(d.pop("auth"))

        def _parse_comment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        comment = _parse_comment(d.pop("comment"))

        def _parse_content(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        content = _parse_content(d.pop("content"))

        entry_id = UUID(d.pop("entry_id"))

        groups = cast(list[str], d.pop("groups"))

        def _parse_on_behalf_of(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        on_behalf_of = _parse_on_behalf_of(d.pop("on_behalf_of"))

        subject_digest = d.pop("subject_digest")

        def _parse_via(data: object) -> None | Via:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                via_type_0 = Via(data)

                return via_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Via, data)

        via = _parse_via(d.pop("via"))

        voter = d.pop("voter")

        vote_view = cls(
            action=action,
            at=at,
            auth=auth,
            comment=comment,
            content=content,
            entry_id=entry_id,
            groups=groups,
            on_behalf_of=on_behalf_of,
            subject_digest=subject_digest,
            via=via,
            voter=voter,
        )

        vote_view.additional_properties = d
        return vote_view

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
