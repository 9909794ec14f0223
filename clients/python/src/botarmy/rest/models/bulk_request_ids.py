from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.bulk_action import BulkAction
from ..types import UNSET, Unset

T = TypeVar("T", bound="BulkRequestIds")


@_attrs_define
class BulkRequestIds:
    """The alternative of BulkBody with `request_ids`.

    Attributes:
        action (BulkAction | None):
        request_ids (list[UUID]): Requests to answer, 1 to 100, each once.
        comment (None | str | Unset): Comment on every request whose item has none of its own.
        items (None | Unset):
    """

    action: BulkAction | None
    request_ids: list[UUID]
    comment: None | str | Unset = UNSET
    items: None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        action: None | str
        if isinstance(self.action, BulkAction):
            action = self.action.value
        else:
            action = self.action

        request_ids = []
        for request_ids_item_data in self.request_ids:
            request_ids_item = str(request_ids_item_data)
            request_ids.append(request_ids_item)

        comment: None | str | Unset
        if isinstance(self.comment, Unset):
            comment = UNSET
        else:
            comment = self.comment

        items = self.items

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
                "request_ids": request_ids,
            }
        )
        if comment is not UNSET:
            field_dict["comment"] = comment
        if items is not UNSET:
            field_dict["items"] = items

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_action(data: object) -> BulkAction | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                action_type_0 = BulkAction(data)

                return action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(BulkAction | None, data)

        action = _parse_action(d.pop("action"))

        request_ids = []
        _request_ids = d.pop("request_ids")
        for request_ids_item_data in _request_ids:
            request_ids_item = UUID(request_ids_item_data)

            request_ids.append(request_ids_item)

        def _parse_comment(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        comment = _parse_comment(d.pop("comment", UNSET))

        items = d.pop("items", UNSET)

        bulk_request_ids = cls(
            action=action,
            request_ids=request_ids,
            comment=comment,
            items=items,
        )

        return bulk_request_ids
