from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.artifact_type import ArtifactType
from ..models.task_status import TaskStatus
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.lease_view import LeaseView
    from ..models.refused_result import RefusedResult
    from ..models.usage_view import UsageView


T = TypeVar("T", bound="Task")


@_attrs_define
class Task:
    """Task.

    Attributes:
        agent_type (AgentType):
        artifacts (list[UUID]): Artifacts that the task produced.
        attempt (int): Number of times that it was started.
        context_ids (list[UUID]):
        created_at (datetime.datetime):
        ended_at (datetime.datetime | None): Time of completion, failure or cancellation.
        error_code (None | str): Code of the last error, for programs.
        error_message (None | str): Message of the last error.
        failures (int): Number of failed attempts.
        hitl_request_id (None | UUID): Request that the task waits for.
        instructions (str): Instructions for the agent; in lists, the beginning of long ones.
        lease (LeaseView | None):
        max_attempts (int):
        output (Any): Output of the agent.
        output_type (ArtifactType | None):
        phase (None | str): Phase of the workflow that the task belongs to.
        priority (int):
        project_id (UUID):
        ready_at (datetime.datetime): Earliest time of the next attempt.
        refused_result (None | RefusedResult):
        started_at (datetime.datetime | None): Start of the latest attempt; null before the first.
        status (TaskStatus):
        step (None | str): Step of the workflow that the task does.
        task_id (UUID):
        updated_at (datetime.datetime):
        usage (UsageView): Tokens and money that were used.
        truncated (bool | Unset): True where the instructions are not all of them, or the output is left out.
    """

    agent_type: AgentType
    artifacts: list[UUID]
    attempt: int
    context_ids: list[UUID]
    created_at: datetime.datetime
    ended_at: datetime.datetime | None
    error_code: None | str
    error_message: None | str
    failures: int
    hitl_request_id: None | UUID
    instructions: str
    lease: LeaseView | None
    max_attempts: int
    output: Any
    output_type: ArtifactType | None
    phase: None | str
    priority: int
    project_id: UUID
    ready_at: datetime.datetime
    refused_result: None | RefusedResult
    started_at: datetime.datetime | None
    status: TaskStatus
    step: None | str
    task_id: UUID
    updated_at: datetime.datetime
    usage: UsageView
    truncated: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.lease_view import LeaseView  # noqa: PLC0415
        from ..models.refused_result import RefusedResult  # noqa: PLC0415

        agent_type = self.agent_type.value

        artifacts = []
        for artifacts_item_data in self.artifacts:
            artifacts_item = str(artifacts_item_data)
            artifacts.append(artifacts_item)

        attempt = self.attempt

        context_ids = []
        for context_ids_item_data in self.context_ids:
            context_ids_item = str(context_ids_item_data)
            context_ids.append(context_ids_item)

        created_at = self.created_at.isoformat()

        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at

        error_code: None | str
        error_code = self.error_code

        error_message: None | str
        error_message = self.error_message

        failures = self.failures

        hitl_request_id: None | str
        if isinstance(self.hitl_request_id, UUID):
            hitl_request_id = str(self.hitl_request_id)
        else:
            hitl_request_id = self.hitl_request_id

        instructions = self.instructions

        lease: dict[str, Any] | None
        if isinstance(self.lease, LeaseView):
            lease = self.lease.to_dict()
        else:
            lease = self.lease

        max_attempts = self.max_attempts

        output = self.output

        output_type: None | str
        if isinstance(self.output_type, ArtifactType):
            output_type = self.output_type.value
        else:
            output_type = self.output_type

        phase: None | str
        phase = self.phase

        priority = self.priority

        project_id = str(self.project_id)

        ready_at = self.ready_at.isoformat()

        refused_result: dict[str, Any] | None
        if isinstance(self.refused_result, RefusedResult):
            refused_result = self.refused_result.to_dict()
        else:
            refused_result = self.refused_result

        started_at: None | str
        if isinstance(self.started_at, datetime.datetime):
            started_at = self.started_at.isoformat()
        else:
            started_at = self.started_at

        status = self.status.value

        step: None | str
        step = self.step

        task_id = str(self.task_id)

        updated_at = self.updated_at.isoformat()

        usage = self.usage.to_dict()

        truncated = self.truncated

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "artifacts": artifacts,
                "attempt": attempt,
                "context_ids": context_ids,
                "created_at": created_at,
                "ended_at": ended_at,
                "error_code": error_code,
                "error_message": error_message,
                "failures": failures,
                "hitl_request_id": hitl_request_id,
                "instructions": instructions,
                "lease": lease,
                "max_attempts": max_attempts,
                "output": output,
                "output_type": output_type,
                "phase": phase,
                "priority": priority,
                "project_id": project_id,
                "ready_at": ready_at,
                "refused_result": refused_result,
                "started_at": started_at,
                "status": status,
                "step": step,
                "task_id": task_id,
                "updated_at": updated_at,
                "usage": usage,
            }
        )
        if truncated is not UNSET:
            field_dict["truncated"] = truncated

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.lease_view import LeaseView  # noqa: PLC0415
        from ..models.refused_result import RefusedResult  # noqa: PLC0415
        from ..models.usage_view import UsageView  # noqa: PLC0415

        d = dict(src_dict)
        agent_type = AgentType(d.pop("agent_type"))

        artifacts = []
        _artifacts = d.pop("artifacts")
        for artifacts_item_data in _artifacts:
            artifacts_item = UUID(artifacts_item_data)

            artifacts.append(artifacts_item)

        attempt = d.pop("attempt")

        context_ids = []
        _context_ids = d.pop("context_ids")
        for context_ids_item_data in _context_ids:
            context_ids_item = UUID(context_ids_item_data)

            context_ids.append(context_ids_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        def _parse_ended_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        ended_at = _parse_ended_at(d.pop("ended_at"))

        def _parse_error_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error_code = _parse_error_code(d.pop("error_code"))

        def _parse_error_message(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error_message = _parse_error_message(d.pop("error_message"))

        failures = d.pop("failures")

        def _parse_hitl_request_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                hitl_request_id_type_0 = UUID(data)

                return hitl_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        hitl_request_id = _parse_hitl_request_id(d.pop("hitl_request_id"))

        instructions = d.pop("instructions")

        def _parse_lease(data: object) -> LeaseView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                lease_type_0 = LeaseView.from_dict(data)

                return lease_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(LeaseView | None, data)

        lease = _parse_lease(d.pop("lease"))

        max_attempts = d.pop("max_attempts")

        output = d.pop("output")

        def _parse_output_type(data: object) -> ArtifactType | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                output_type_type_0 = ArtifactType(data)

                return output_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ArtifactType | None, data)

        output_type = _parse_output_type(d.pop("output_type"))

        def _parse_phase(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        phase = _parse_phase(d.pop("phase"))

        priority = d.pop("priority")

        project_id = UUID(d.pop("project_id"))

        ready_at = datetime.datetime.fromisoformat(d.pop("ready_at").replace("Z", "+00:00"))

        def _parse_refused_result(data: object) -> None | RefusedResult:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                refused_result_type_0 = RefusedResult.from_dict(data)

                return refused_result_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RefusedResult, data)

        refused_result = _parse_refused_result(d.pop("refused_result"))

        def _parse_started_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                started_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return started_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        started_at = _parse_started_at(d.pop("started_at"))

        status = TaskStatus(d.pop("status"))

        def _parse_step(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        step = _parse_step(d.pop("step"))

        task_id = UUID(d.pop("task_id"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        usage = UsageView.from_dict(d.pop("usage"))

        truncated = d.pop("truncated", UNSET)

        task = cls(
            agent_type=agent_type,
            artifacts=artifacts,
            attempt=attempt,
            context_ids=context_ids,
            created_at=created_at,
            ended_at=ended_at,
            error_code=error_code,
            error_message=error_message,
            failures=failures,
            hitl_request_id=hitl_request_id,
            instructions=instructions,
            lease=lease,
            max_attempts=max_attempts,
            output=output,
            output_type=output_type,
            phase=phase,
            priority=priority,
            project_id=project_id,
            ready_at=ready_at,
            refused_result=refused_result,
            started_at=started_at,
            status=status,
            step=step,
            task_id=task_id,
            updated_at=updated_at,
            usage=usage,
            truncated=truncated,
        )

        task.additional_properties = d
        return task

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
