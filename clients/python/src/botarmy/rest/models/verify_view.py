from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.head_view import HeadView
    from ..models.state_verification import StateVerification


T = TypeVar("T", bound="VerifyView")


@_attrs_define
class VerifyView:
    """Result of a check of a log.

    Attributes:
        entries (int): Number of entries that were read.
        head (HeadView): Position in a log, with the hash of its entry.
        valid (bool): Whether every entry is unchanged and in its place and, with `state`, the stored state follows
            from the log.
        first_bad_seq (int | None | Unset): First position at which the log differs from what was written.
        reason (None | str | Unset): Defect at that position.
        rounded_entries (int | None | Unset): Number of entries by earlier versions whose hashes do not show a change of
            the last digits
            of numbers of 2^53 or more; absent if there are none.
        state (None | StateVerification | Unset):
    """

    entries: int
    head: HeadView
    valid: bool
    first_bad_seq: int | None | Unset = UNSET
    reason: None | str | Unset = UNSET
    rounded_entries: int | None | Unset = UNSET
    state: None | StateVerification | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.state_verification import StateVerification  # noqa: PLC0415

        entries = self.entries

        head = self.head.to_dict()

        valid = self.valid

        first_bad_seq: int | None | Unset
        if isinstance(self.first_bad_seq, Unset):
            first_bad_seq = UNSET
        else:
            first_bad_seq = self.first_bad_seq

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason

        rounded_entries: int | None | Unset
        if isinstance(self.rounded_entries, Unset):
            rounded_entries = UNSET
        else:
            rounded_entries = self.rounded_entries

        state: dict[str, Any] | None | Unset
        if isinstance(self.state, Unset):
            state = UNSET
        elif isinstance(self.state, StateVerification):
            state = self.state.to_dict()
        else:
            state = self.state

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "entries": entries,
                "head": head,
                "valid": valid,
            }
        )
        if first_bad_seq is not UNSET:
            field_dict["first_bad_seq"] = first_bad_seq
        if reason is not UNSET:
            field_dict["reason"] = reason
        if rounded_entries is not UNSET:
            field_dict["rounded_entries"] = rounded_entries
        if state is not UNSET:
            field_dict["state"] = state

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.head_view import HeadView  # noqa: PLC0415
        from ..models.state_verification import StateVerification  # noqa: PLC0415

        d = dict(src_dict)
        entries = d.pop("entries")

        head = HeadView.from_dict(d.pop("head"))

        valid = d.pop("valid")

        def _parse_first_bad_seq(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        first_bad_seq = _parse_first_bad_seq(d.pop("first_bad_seq", UNSET))

        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))

        def _parse_rounded_entries(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        rounded_entries = _parse_rounded_entries(d.pop("rounded_entries", UNSET))

        def _parse_state(data: object) -> None | StateVerification | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                state_type_0 = StateVerification.from_dict(data)

                return state_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | StateVerification | Unset, data)

        state = _parse_state(d.pop("state", UNSET))

        verify_view = cls(
            entries=entries,
            head=head,
            valid=valid,
            first_bad_seq=first_bad_seq,
            reason=reason,
            rounded_entries=rounded_entries,
            state=state,
        )

        verify_view.additional_properties = d
        return verify_view

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
