from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="BulkItem")


@_attrs_define
class BulkItem:
    """Request to answer.

    Attributes:
        request_id (UUID):
        subject_digest (None | str | Unset): Digest of the artifacts that the person saw. The response is refused with
            409 if they have
            changed since, and also if they have changed since the request was opened and this is absent.
    """

    request_id: UUID
    subject_digest: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        request_id = str(self.request_id)

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
        if subject_digest is not UNSET:
            field_dict["subject_digest"] = subject_digest

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        request_id = UUID(d.pop("request_id"))

        def _parse_subject_digest(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        subject_digest = _parse_subject_digest(d.pop("subject_digest", UNSET))

        bulk_item = cls(
            request_id=request_id,
            subject_digest=subject_digest,
        )

        return bulk_item
