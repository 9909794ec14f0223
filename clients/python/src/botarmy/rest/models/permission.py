from __future__ import annotations

from enum import Enum


class Permission(str, Enum):
    ACCESS_MANAGE = "access.manage"
    AGENTS_READ = "agents.read"
    AGENTS_RESET = "agents.reset"
    GATE_ANSWER = "gate.answer"
    PACKAGES_CLEAN = "packages.clean"
    PROJECT_CREATE = "project.create"
    PROJECT_MANAGE = "project.manage"
    PROJECT_READ = "project.read"
    PROJECT_RUN = "project.run"
    SERVER_RUN = "server.run"
    STOP_RELEASE = "stop.release"
    STOP_SET = "stop.set"
    SYSTEM_READ = "system.read"
    WORK_DO = "work.do"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> Permission | None:
        """Returns a member for a value that this version does not know."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
