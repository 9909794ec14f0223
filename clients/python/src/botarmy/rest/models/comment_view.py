from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="CommentView")


@_attrs_define
class CommentView:
    """Remark in the discussion of a request.

    Attributes:
        at (datetime.datetime):
        by (str): Name of its author.
        id (UUID): Log entry that recorded it, which is its id.
        principal_id (None | UUID): Principal of its author; null on an open server.
        reply_to (None | UUID): Remark that it answers.
        text (str):
    """

    at: datetime.datetime
    by: str
    id: UUID
    principal_id: None | UUID
    reply_to: None | UUID
    text: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        by = self.by

        id = str(self.id)

        principal_id: None | str
        if isinstance(self.principal_id, UUID):
            principal_id = str(self.principal_id)
        else:
            principal_id = self.principal_id

        reply_to: None | str
        if isinstance(self.reply_to, UUID):
            reply_to = str(self.reply_to)
        else:
            reply_to = self.reply_to

        text = self.text

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "at": at,
                "by": by,
                "id": id,
                "principal_id": principal_id,
                "reply_to": reply_to,
                "text": text,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at").replace("Z", "+00:00"))

        by = d.pop("by")

        id = UUID(d.pop("id"))

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

        def _parse_reply_to(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reply_to_type_0 = UUID(data)

                return reply_to_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        reply_to = _parse_reply_to(d.pop("reply_to"))

        text = d.pop("text")

        comment_view = cls(
            at=at,
            by=by,
            id=id,
            principal_id=principal_id,
            reply_to=reply_to,
            text=text,
        )

        comment_view.additional_properties = d
        return comment_view

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
