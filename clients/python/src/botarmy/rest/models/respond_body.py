from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.hitl_action import HitlAction
from ..types import UNSET, Unset

T = TypeVar("T", bound="RespondBody")


@_attrs_define
class RespondBody:
    """Response to a request.

    Attributes:
        action (HitlAction): Answer to a request.
        amended_content (Any | Unset): With `amend`: the document that replaces the one under review. It must match the
            schema of the
            step's output; what does not is named by JSON Pointers in a 422.
        comment (None | str | Unset): Comment. With `request_changes`, it takes the place of an absent `content`.
        content (None | str | Unset): Text of the person; with `request_changes`, and with `amend` without a document,
            what should be
            different. A blank text counts as absent.
        response (Any | Unset): Answer in the form that `response_schema` of the request asks for: any JSON value.
        subject_digest (None | str | Unset): Digest of the subject that the person saw; `If-Match` may have it in its
            place. The response is
            refused with 409 if the subject has changed since, and also if it has changed since the request
            was opened and this is absent. Where the policy asks for it, its absence is a 428.
    """

    action: HitlAction
    amended_content: Any | Unset = UNSET
    comment: None | str | Unset = UNSET
    content: None | str | Unset = UNSET
    response: Any | Unset = UNSET
    subject_digest: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        action = self.action.value

        amended_content = self.amended_content

        comment: None | str | Unset
        if isinstance(self.comment, Unset):
            comment = UNSET
        else:
            comment = self.comment

        content: None | str | Unset
        if isinstance(self.content, Unset):
            content = UNSET
        else:
            content = self.content

        response = self.response

        subject_digest: None | str | Unset
        if isinstance(self.subject_digest, Unset):
            subject_digest = UNSET
        else:
            subject_digest = self.subject_digest

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
            }
        )
        if amended_content is not UNSET:
            field_dict["amended_content"] = amended_content
        if comment is not UNSET:
            field_dict["comment"] = comment
        if content is not UNSET:
            field_dict["content"] = content
        if response is not UNSET:
            field_dict["response"] = response
        if subject_digest is not UNSET:
            field_dict["subject_digest"] = subject_digest

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        action = HitlAction(d.pop("action"))

        amended_content = d.pop("amended_content", UNSET)

        def _parse_comment(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        comment = _parse_comment(d.pop("comment", UNSET))

        def _parse_content(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        content = _parse_content(d.pop("content", UNSET))

        response = d.pop("response", UNSET)

        def _parse_subject_digest(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        subject_digest = _parse_subject_digest(d.pop("subject_digest", UNSET))

        respond_body = cls(
            action=action,
            amended_content=amended_content,
            comment=comment,
            content=content,
            response=response,
            subject_digest=subject_digest,
        )

        return respond_body
