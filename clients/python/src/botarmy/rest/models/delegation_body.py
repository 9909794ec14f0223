from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="DelegationBody")


@_attrs_define
class DelegationBody:
    """Standing delegation to set.

    Attributes:
        to (str): Name or id of the person who answers.
        until (datetime.datetime): Time at which it ends.
        from_ (datetime.datetime | None | Unset): Time from which it applies; at once when absent.
    """

    to: str
    until: datetime.datetime
    from_: datetime.datetime | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        to = self.to

        until = self.until.isoformat()

        from_: None | str | Unset
        if isinstance(self.from_, Unset):
            from_ = UNSET
        elif isinstance(self.from_, datetime.datetime):
            from_ = self.from_.isoformat()
        else:
            from_ = self.from_

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "to": to,
                "until": until,
            }
        )
        if from_ is not UNSET:
            field_dict["from"] = from_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        to = d.pop("to")

        until = datetime.datetime.fromisoformat(d.pop("until").replace("Z", "+00:00"))

        def _parse_from_(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                from_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return from_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        from_ = _parse_from_(d.pop("from", UNSET))

        delegation_body = cls(
            to=to,
            until=until,
            from_=from_,
        )

        return delegation_body
