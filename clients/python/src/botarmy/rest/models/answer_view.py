from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.hitl_action import HitlAction

T = TypeVar("T", bound="AnswerView")


@_attrs_define
class AnswerView:
    """A person's answer to a question.

    Attributes:
        action (HitlAction): Answer to a request.
        comment (None | str):
        content (Any): Text or replacement document that the person gave.
        question_id (UUID):
    """

    action: HitlAction
    comment: None | str
    content: Any
    question_id: UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        action = self.action.value

        comment: None | str
        comment = self.comment

        content = self.content

        question_id = str(self.question_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "action": action,
                "comment": comment,
                "content": content,
                "question_id": question_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        action = HitlAction(d.pop("action"))

        def _parse_comment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        comment = _parse_comment(d.pop("comment"))

        content = d.pop("content")

        question_id = UUID(d.pop("question_id"))

        answer_view = cls(
            action=action,
            comment=comment,
            content=content,
            question_id=question_id,
        )

        answer_view.additional_properties = d
        return answer_view

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
