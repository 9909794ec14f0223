from __future__ import annotations

from enum import Enum


class ArtifactType(str, Enum):
    AGENT_OUTPUT = "agent_output"
    DEPLOYMENT_LOG = "deployment_log"
    DEPLOYMENT_PACKAGE = "deployment_package"
    HITL_RESPONSE = "hitl_response"
    IMPLEMENTATION_PLAN = "implementation_plan"
    PROJECT_PLAN = "project_plan"
    SOFTWARE_SPECIFICATION = "software_specification"
    SOURCE_CODE = "source_code"
    SYSTEM_ARCHITECTURE = "system_architecture"
    TEST_RESULTS = "test_results"
    USER_INPUT = "user_input"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> ArtifactType | None:
        """Returns a member for a value that this version does not know."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
