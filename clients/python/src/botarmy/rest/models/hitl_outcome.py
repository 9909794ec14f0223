from __future__ import annotations

from enum import Enum


class HitlOutcome(str, Enum):
    AMENDED = "amended"
    APPROVED = "approved"
    CANCELLED = "cancelled"
    CHANGES_REQUESTED = "changes_requested"
    EXPIRED = "expired"
    REJECTED = "rejected"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> HitlOutcome | None:
        """Returns a member for a value that this version does not know."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
