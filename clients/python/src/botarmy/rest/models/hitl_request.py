from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.agent_type import AgentType
from ..models.hitl_kind import HitlKind
from ..models.hitl_outcome import HitlOutcome
from ..models.hitl_status import HitlStatus

if TYPE_CHECKING:
    from ..models.amended_view import AmendedView
    from ..models.due_view import DueView
    from ..models.history_view import HistoryView
    from ..models.needs_view import NeedsView
    from ..models.subject_view import SubjectView


T = TypeVar("T", bound="HitlRequest")


@_attrs_define
class HitlRequest:
    """Human-in-the-loop request.

    Attributes:
        agent_type (AgentType | None):
        amended_content (AmendedView | None):
        assignees (list[str]): People who are asked first, such as `user:ada` or `group:leads`.
        budget (Any): Limit in question, when the request asks to raise one.
        claimed_by (None | str): Person who has reserved it.
        claimed_until (datetime.datetime | None): Time at which the reservation ends. One that has passed reserves
            nothing.
        created_at (datetime.datetime):
        due (DueView | None):
        expires_at (datetime.datetime):
        history (list[HistoryView]): Answers to the request, oldest first: none while it is pending, unless the same was
            asked before
            the project was reopened.
        kind (HitlKind):
        needs (NeedsView): Approvals that are missing.
        options (list[str]): Suggested answers, in the order in which to show them.
        outcome (HitlOutcome | None):
        policy_name (None | str): Name of the policy by which it is decided; null for that of steps which name none.
        previous_request_id (None | UUID): Request that asked the same before the project was reopened.
        project_id (UUID):
        question (str):
        request_id (UUID):
        responded_at (datetime.datetime | None):
        responded_by (None | str): Person who decided.
        response_comment (None | str): Comment of the person who decided.
        round_ (int): Number of the review: 1, and one more after each wish for changes.
        status (HitlStatus):
        step (None | str): Step of the workflow that waits for the request.
        subject (SubjectView): Artifacts under review, with a digest over all of them.
        task_id (None | UUID):
        unsatisfiable (bool): Whether the people who may approve cannot fill the seats of the policy.
        updated_at (datetime.datetime):
        user_response (HitlStatus | None):
    """

    agent_type: AgentType | None
    amended_content: AmendedView | None
    assignees: list[str]
    budget: Any
    claimed_by: None | str
    claimed_until: datetime.datetime | None
    created_at: datetime.datetime
    due: DueView | None
    expires_at: datetime.datetime
    history: list[HistoryView]
    kind: HitlKind
    needs: NeedsView
    options: list[str]
    outcome: HitlOutcome | None
    policy_name: None | str
    previous_request_id: None | UUID
    project_id: UUID
    question: str
    request_id: UUID
    responded_at: datetime.datetime | None
    responded_by: None | str
    response_comment: None | str
    round_: int
    status: HitlStatus
    step: None | str
    subject: SubjectView
    task_id: None | UUID
    unsatisfiable: bool
    updated_at: datetime.datetime
    user_response: HitlStatus | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.amended_view import AmendedView  # noqa: PLC0415
        from ..models.due_view import DueView  # noqa: PLC0415

        agent_type: None | str
        if isinstance(self.agent_type, AgentType):
            agent_type = self.agent_type.value
        else:
            agent_type = self.agent_type

        amended_content: dict[str, Any] | None
        if isinstance(self.amended_content, AmendedView):
            amended_content = self.amended_content.to_dict()
        else:
            amended_content = self.amended_content

        assignees = self.assignees

        budget = self.budget

        claimed_by: None | str
        claimed_by = self.claimed_by

        claimed_until: None | str
        if isinstance(self.claimed_until, datetime.datetime):
            claimed_until = self.claimed_until.isoformat()
        else:
            claimed_until = self.claimed_until

        created_at = self.created_at.isoformat()

        due: dict[str, Any] | None
        if isinstance(self.due, DueView):
            due = self.due.to_dict()
        else:
            due = self.due

        expires_at = self.expires_at.isoformat()

        history = []
        for history_item_data in self.history:
            history_item = history_item_data.to_dict()
            history.append(history_item)

        kind = self.kind.value

        needs = self.needs.to_dict()

        options = self.options

        outcome: None | str
        if isinstance(self.outcome, HitlOutcome):
            outcome = self.outcome.value
        else:
            outcome = self.outcome

        policy_name: None | str
        policy_name = self.policy_name

        previous_request_id: None | str
        if isinstance(self.previous_request_id, UUID):
            previous_request_id = str(self.previous_request_id)
        else:
            previous_request_id = self.previous_request_id

        project_id = str(self.project_id)

        question = self.question

        request_id = str(self.request_id)

        responded_at: None | str
        if isinstance(self.responded_at, datetime.datetime):
            responded_at = self.responded_at.isoformat()
        else:
            responded_at = self.responded_at

        responded_by: None | str
        responded_by = self.responded_by

        response_comment: None | str
        response_comment = self.response_comment

        round_ = self.round_

        status = self.status.value

        step: None | str
        step = self.step

        subject = self.subject.to_dict()

        task_id: None | str
        if isinstance(self.task_id, UUID):
            task_id = str(self.task_id)
        else:
            task_id = self.task_id

        unsatisfiable = self.unsatisfiable

        updated_at = self.updated_at.isoformat()

        user_response: None | str
        if isinstance(self.user_response, HitlStatus):
            user_response = self.user_response.value
        else:
            user_response = self.user_response

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "agent_type": agent_type,
                "amended_content": amended_content,
                "assignees": assignees,
                "budget": budget,
                "claimed_by": claimed_by,
                "claimed_until": claimed_until,
                "created_at": created_at,
                "due": due,
                "expires_at": expires_at,
                "history": history,
                "kind": kind,
                "needs": needs,
                "options": options,
                "outcome": outcome,
                "policy_name": policy_name,
                "previous_request_id": previous_request_id,
                "project_id": project_id,
                "question": question,
                "request_id": request_id,
                "responded_at": responded_at,
                "responded_by": responded_by,
                "response_comment": response_comment,
                "round": round_,
                "status": status,
                "step": step,
                "subject": subject,
                "task_id": task_id,
                "unsatisfiable": unsatisfiable,
                "updated_at": updated_at,
                "user_response": user_response,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.amended_view import AmendedView  # noqa: PLC0415
        from ..models.due_view import DueView  # noqa: PLC0415
        from ..models.history_view import HistoryView  # noqa: PLC0415
        from ..models.needs_view import NeedsView  # noqa: PLC0415
        from ..models.subject_view import SubjectView  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_agent_type(data: object) -> AgentType | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                agent_type_type_0 = AgentType(data)

                return agent_type_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AgentType | None, data)

        agent_type = _parse_agent_type(d.pop("agent_type"))

        def _parse_amended_content(data: object) -> AmendedView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                amended_content_type_0 = AmendedView.from_dict(data)

                return amended_content_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AmendedView | None, data)

        amended_content = _parse_amended_content(d.pop("amended_content"))

        assignees = cast(list[str], d.pop("assignees"))

        budget = d.pop("budget")

        def _parse_claimed_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        claimed_by = _parse_claimed_by(d.pop("claimed_by"))

        def _parse_claimed_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                claimed_until_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return claimed_until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        claimed_until = _parse_claimed_until(d.pop("claimed_until"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at").replace("Z", "+00:00"))

        def _parse_due(data: object) -> DueView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                due_type_0 = DueView.from_dict(data)

                return due_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(DueView | None, data)

        due = _parse_due(d.pop("due"))

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at").replace("Z", "+00:00"))

        history = []
        _history = d.pop("history")
        for history_item_data in _history:
            history_item = HistoryView.from_dict(history_item_data)

            history.append(history_item)

        kind = HitlKind(d.pop("kind"))

        needs = NeedsView.from_dict(d.pop("needs"))

        options = cast(list[str], d.pop("options"))

        def _parse_outcome(data: object) -> HitlOutcome | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                outcome_type_0 = HitlOutcome(data)

                return outcome_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(HitlOutcome | None, data)

        outcome = _parse_outcome(d.pop("outcome"))

        def _parse_policy_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        policy_name = _parse_policy_name(d.pop("policy_name"))

        def _parse_previous_request_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                previous_request_id_type_0 = UUID(data)

                return previous_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        previous_request_id = _parse_previous_request_id(d.pop("previous_request_id"))

        project_id = UUID(d.pop("project_id"))

        question = d.pop("question")

        request_id = UUID(d.pop("request_id"))

        def _parse_responded_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                responded_at_type_0 = datetime.datetime.fromisoformat(data.replace("Z", "+00:00"))

                return responded_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        responded_at = _parse_responded_at(d.pop("responded_at"))

        def _parse_responded_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        responded_by = _parse_responded_by(d.pop("responded_by"))

        def _parse_response_comment(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        response_comment = _parse_response_comment(d.pop("response_comment"))

        round_ = d.pop("round")

        status = HitlStatus(d.pop("status"))

        def _parse_step(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        step = _parse_step(d.pop("step"))

        subject = SubjectView.from_dict(d.pop("subject"))

        def _parse_task_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                task_id_type_0 = UUID(data)

                return task_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        task_id = _parse_task_id(d.pop("task_id"))

        unsatisfiable = d.pop("unsatisfiable")

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at").replace("Z", "+00:00"))

        def _parse_user_response(data: object) -> HitlStatus | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                user_response_type_0 = HitlStatus(data)

                return user_response_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(HitlStatus | None, data)

        user_response = _parse_user_response(d.pop("user_response"))

        hitl_request = cls(
            agent_type=agent_type,
            amended_content=amended_content,
            assignees=assignees,
            budget=budget,
            claimed_by=claimed_by,
            claimed_until=claimed_until,
            created_at=created_at,
            due=due,
            expires_at=expires_at,
            history=history,
            kind=kind,
            needs=needs,
            options=options,
            outcome=outcome,
            policy_name=policy_name,
            previous_request_id=previous_request_id,
            project_id=project_id,
            question=question,
            request_id=request_id,
            responded_at=responded_at,
            responded_by=responded_by,
            response_comment=response_comment,
            round_=round_,
            status=status,
            step=step,
            subject=subject,
            task_id=task_id,
            unsatisfiable=unsatisfiable,
            updated_at=updated_at,
            user_response=user_response,
        )

        hitl_request.additional_properties = d
        return hitl_request

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
