from __future__ import annotations

from enum import Enum


class EventType(str, Enum):
    ACCESS_DENIED = "access_denied"
    AGENT_ERROR = "agent_error"
    AGENT_STATUS_CHANGED = "agent_status_changed"
    ARTIFACTS_DELETED = "artifacts_deleted"
    ARTIFACTS_GENERATED = "artifacts_generated"
    ARTIFACT_CREATED = "artifact_created"
    BUDGET_CHANGED = "budget_changed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    BUDGET_RESERVED = "budget_reserved"
    DELEGATION_CHANGED = "delegation_changed"
    EMERGENCY_RELEASED = "emergency_released"
    EMERGENCY_STOPPED = "emergency_stopped"
    GRANT_CHANGED = "grant_changed"
    HANDOFF_CREATED = "handoff_created"
    HITL_CANCELLED = "hitl_cancelled"
    HITL_CLAIMED = "hitl_claimed"
    HITL_COMMENTED = "hitl_commented"
    HITL_DELEGATED = "hitl_delegated"
    HITL_ESCALATED = "hitl_escalated"
    HITL_EXTENDED = "hitl_extended"
    HITL_LINK_ISSUED = "hitl_link_issued"
    HITL_LINK_REVOKED = "hitl_link_revoked"
    HITL_REMINDED = "hitl_reminded"
    HITL_REQUEST_CREATED = "hitl_request_created"
    HITL_RESPONSE = "hitl_response"
    HITL_SUBJECT_CHANGED = "hitl_subject_changed"
    HITL_TIMEOUT = "hitl_timeout"
    HITL_UNCLAIMED = "hitl_unclaimed"
    HITL_UNSATISFIABLE = "hitl_unsatisfiable"
    HITL_VOTE_CAST = "hitl_vote_cast"
    HITL_VOTE_WITHDRAWN = "hitl_vote_withdrawn"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    KEY_ROTATED = "key_rotated"
    PRINCIPAL_CREATED = "principal_created"
    PROJECT_CANCELLED = "project_cancelled"
    PROJECT_COMPLETED = "project_completed"
    PROJECT_CREATED = "project_created"
    PROJECT_FAILED = "project_failed"
    PROJECT_HALTED = "project_halted"
    PROJECT_PAUSED = "project_paused"
    PROJECT_REOPENED = "project_reopened"
    PROJECT_RESUMED = "project_resumed"
    PROJECT_STARTED = "project_started"
    SESSION_ENDED = "session_ended"
    SESSION_STARTED = "session_started"
    SIGN_IN_LINK_CREATED = "sign_in_link_created"
    SYSTEM_ERROR = "system_error"
    SYSTEM_WARNING = "system_warning"
    TASK_CANCELLED = "task_cancelled"
    TASK_COMPLETED = "task_completed"
    TASK_CREATED = "task_created"
    TASK_FAILED = "task_failed"
    TASK_LEASE_LAPSED = "task_lease_lapsed"
    TASK_RESULT_REFUSED = "task_result_refused"
    TASK_RETRY_SCHEDULED = "task_retry_scheduled"
    TASK_STARTED = "task_started"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_DELETED = "webhook_deleted"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_RECEIVED = "webhook_received"

    def __str__(self) -> str:
        return str(self.value)

    @classmethod
    def _missing_(cls, value: object) -> EventType | None:
        """Returns a member for a value that this version does not know."""
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member
