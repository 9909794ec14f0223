from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.link_action import LinkAction
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewAnswerLinkBody")


@_attrs_define
class NewAnswerLinkBody:
    """Link to make.

    Attributes:
        actions (list[LinkAction]): Answers that can be given with it, at least one.
        person (None | str | Unset): Name or id of the person who answers with it; the caller when absent. A link for
            another person
            needs the permission to manage access, because it proves who one is.
        ttl_s (int | None | Unset): Seconds for which it can be used: 1 to 31,536,000; until the request expires when
            absent.
    """

    actions: list[LinkAction]
    person: None | str | Unset = UNSET
    ttl_s: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        actions = []
        for actions_item_data in self.actions:
            actions_item = actions_item_data.value
            actions.append(actions_item)

        person: None | str | Unset
        if isinstance(self.person, Unset):
            person = UNSET
        else:
            person = self.person

        ttl_s: int | None | Unset
        if isinstance(self.ttl_s, Unset):
            ttl_s = UNSET
        else:
            ttl_s = self.ttl_s

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "actions": actions,
            }
        )
        if person is not UNSET:
            field_dict["person"] = person
        if ttl_s is not UNSET:
            field_dict["ttl_s"] = ttl_s

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        actions = []
        _actions = d.pop("actions")
        for actions_item_data in _actions:
            actions_item = LinkAction(actions_item_data)

            actions.append(actions_item)

        def _parse_person(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        person = _parse_person(d.pop("person", UNSET))

        def _parse_ttl_s(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        ttl_s = _parse_ttl_s(d.pop("ttl_s", UNSET))

        new_answer_link_body = cls(
            actions=actions,
            person=person,
            ttl_s=ttl_s,
        )

        return new_answer_link_body
