from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.resume_status import ResumeStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.respond_body import RespondBody


T = TypeVar("T", bound="ResumeBody")


@_attrs_define
class ResumeBody:
    """Answer to an interrupt of AG-UI.

    Attributes:
        status (ResumeStatus): Result of an interrupt.
        interrupt_id (None | Unset | UUID): Id of the request; must be that of the path.
        payload (None | RespondBody | Unset):
    """

    status: ResumeStatus
    interrupt_id: None | Unset | UUID = UNSET
    payload: None | RespondBody | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.respond_body import RespondBody  # noqa: PLC0415

        status = self.status.value

        interrupt_id: None | str | Unset
        if isinstance(self.interrupt_id, Unset):
            interrupt_id = UNSET
        elif isinstance(self.interrupt_id, UUID):
            interrupt_id = str(self.interrupt_id)
        else:
            interrupt_id = self.interrupt_id

        payload: dict[str, Any] | None | Unset
        if isinstance(self.payload, Unset):
            payload = UNSET
        elif isinstance(self.payload, RespondBody):
            payload = self.payload.to_dict()
        else:
            payload = self.payload

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "status": status,
            }
        )
        if interrupt_id is not UNSET:
            field_dict["interruptId"] = interrupt_id
        if payload is not UNSET:
            field_dict["payload"] = payload

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.respond_body import RespondBody  # noqa: PLC0415

        d = dict(src_dict)
        status = ResumeStatus(d.pop("status"))

        def _parse_interrupt_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                interrupt_id_type_0 = UUID(data)

                return interrupt_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        interrupt_id = _parse_interrupt_id(d.pop("interruptId", UNSET))

        def _parse_payload(data: object) -> None | RespondBody | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                payload_type_0 = RespondBody.from_dict(data)

                return payload_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RespondBody | Unset, data)

        payload = _parse_payload(d.pop("payload", UNSET))

        resume_body = cls(
            status=status,
            interrupt_id=interrupt_id,
            payload=payload,
        )

        return resume_body
