from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.usage_body import UsageBody


T = TypeVar("T", bound="FailBody")


@_attrs_define
class FailBody:
    """Failure of an attempt.

    Attributes:
        code (str): Code for programs, such as `rate_limited`.
        message (str): Message for people; must not be blank.
        retryable (bool): Whether another attempt may succeed.
        retry_after_s (int | None | Unset): Delay before the next attempt, in seconds; at most a day.
        usage (None | Unset | UsageBody):
    """

    code: str
    message: str
    retryable: bool
    retry_after_s: int | None | Unset = UNSET
    usage: None | Unset | UsageBody = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        code = self.code

        message = self.message

        retryable = self.retryable

        retry_after_s: int | None | Unset
        if isinstance(self.retry_after_s, Unset):
            retry_after_s = UNSET
        else:
            retry_after_s = self.retry_after_s

        usage: dict[str, Any] | None | Unset
        if isinstance(self.usage, Unset):
            usage = UNSET
        elif isinstance(self.usage, UsageBody):
            usage = self.usage.to_dict()
        else:
            usage = self.usage

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "code": code,
                "message": message,
                "retryable": retryable,
            }
        )
        if retry_after_s is not UNSET:
            field_dict["retry_after_s"] = retry_after_s
        if usage is not UNSET:
            field_dict["usage"] = usage

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        d = dict(src_dict)
        code = d.pop("code")

        message = d.pop("message")

        retryable = d.pop("retryable")

        def _parse_retry_after_s(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        retry_after_s = _parse_retry_after_s(d.pop("retry_after_s", UNSET))

        def _parse_usage(data: object) -> None | Unset | UsageBody:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                usage_type_0 = UsageBody.from_dict(data)

                return usage_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UsageBody, data)

        usage = _parse_usage(d.pop("usage", UNSET))

        fail_body = cls(
            code=code,
            message=message,
            retryable=retryable,
            retry_after_s=retry_after_s,
            usage=usage,
        )

        return fail_body
