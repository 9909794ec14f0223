from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.bulk_action import BulkAction
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.bulk_item import BulkItem


T = TypeVar("T", bound="BulkItems")


@_attrs_define
class BulkItems:
    """The alternative of BulkBody with `items`.

    Attributes:
        items (list[BulkItem]): Requests to answer, 1 to 100, each once, with the digest of the subject that the person
            saw.
        action (BulkAction | None | Unset):
        comment (None | str | Unset): Comment on every request whose item has none of its own.
        request_ids (None | Unset):
    """

    items: list[BulkItem]
    action: BulkAction | None | Unset = UNSET
    comment: None | str | Unset = UNSET
    request_ids: None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        items = []
        for items_item_data in self.items:
            items_item = items_item_data.to_dict()
            items.append(items_item)

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

        request_ids = self.request_ids

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "items": items,
            }
        )
        if action is not UNSET:
            field_dict["action"] = action
        if comment is not UNSET:
            field_dict["comment"] = comment
        if request_ids is not UNSET:
            field_dict["request_ids"] = request_ids

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.bulk_item import BulkItem  # noqa: PLC0415

        d = dict(src_dict)
        items = []
        _items = d.pop("items")
        for items_item_data in _items:
            items_item = BulkItem.from_dict(items_item_data)

            items.append(items_item)

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

        request_ids = d.pop("request_ids", UNSET)

        bulk_items = cls(
            items=items,
            action=action,
            comment=comment,
            request_ids=request_ids,
        )

        return bulk_items
