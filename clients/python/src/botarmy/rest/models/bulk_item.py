from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.bulk_action import BulkAction
from ..types import UNSET, Unset

T = TypeVar("T", bound="BulkItem")


@_attrs_define
class BulkItem:
    """Request to answer.

    Attributes:
        request_id (UUID):
        action (BulkAction | None | Unset):
        comment (None | str | Unset): Comment on this request.
        subject_digest (None | str | Unset): Digest of the subject that the person saw. The response is refused with 409
            if it has
            changed since, and also if it has changed since the request was opened and this is absent.
    """

    request_id: UUID
    action: BulkAction | None | Unset = UNSET
    comment: None | str | Unset = UNSET
    subject_digest: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        request_id = str(self.request_id)

        action: None | str | Unset
        if isinstance(self.action, Unset):
            action = UNSET
        elif isinstance(self.action, BulkAction):
            action = self.action.value
        else:
            action = self.action

        comment: None | str | Unset
        if isinstance(self.comment, Unset):
            comment = UNSET
        else:
            comment = self.comment

        subject_digest: None | str | Unset
        if isinstance(self.subject_digest, Unset):
            subject_digest = UNSET
        else:
            subject_digest = self.subject_digest

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "request_id": request_id,
            }
        )
        if action is not UNSET:
            field_dict["action"] = action
        if comment is not UNSET:
            field_dict["comment"] = comment
        if subject_digest is not UNSET:
            field_dict["subject_digest"] = subject_digest

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        request_id = UUID(d.pop("request_id"))

        def _parse_action(data: object) -> BulkAction | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                action_type_0 = BulkAction(data)

                return action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(BulkAction | None | Unset, data)

        action = _parse_action(d.pop("action", UNSET))

        def _parse_comment(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        comment = _parse_comment(d.pop("comment", UNSET))

        def _parse_subject_digest(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        subject_digest = _parse_subject_digest(d.pop("subject_digest", UNSET))

        bulk_item = cls(
            request_id=request_id,
            action=action,
            comment=comment,
            subject_digest=subject_digest,
        )

        return bulk_item
