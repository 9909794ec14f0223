from __future__ import annotations

from enum import Enum


class DueKind(str, Enum):
    ESCALATION = "escalation"
    EXPIRY = "expiry"
    REMINDER = "reminder"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> DueKind | None:
        """Returns a member for a value that this version does not know."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
