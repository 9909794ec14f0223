from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.answer_times_view import AnswerTimesView
    from ..models.oldest_view import OldestView
    from ..models.policy_figures import PolicyFigures
    from ..models.statistics_view_by_agent_type import StatisticsViewByAgentType
    from ..models.statistics_view_by_kind import StatisticsViewByKind
    from ..models.statistics_view_by_status import StatisticsViewByStatus


T = TypeVar("T", bound="StatisticsView")


@_attrs_define
class StatisticsView:
    """Counts of requests, and the time to an answer. Counted are all requests that are pending, and the
    requests of the window that are not pending any more. A request belongs to the window if it was
    raised in it.

        Attributes:
            by_agent_type (StatisticsViewByAgentType): Number of requests about the work of each agent type; every agent
                type occurs.
            by_kind (StatisticsViewByKind): Number of requests of each kind; every kind occurs.
            by_policy (list[PolicyFigures]): Figures of each policy, sorted by name; the first is that of requests whose
                step names none.
            by_status (StatisticsViewByStatus): Number of requests in each status; every status occurs.
            oldest_pending (None | OldestView):
            project_id (None | UUID): Project whose requests were counted; null for all projects.
            since (datetime.datetime): Beginning of the window.
            time_to_answer (AnswerTimesView): Times from raising a request of the window to the answer of a person.
            truncated (bool): Whether the window has more than 10,000 requests that are not pending; only the newest are
                counted then.
            window_hours (int): Length of the window in hours.
            without_agent_type (int): Number of requests about no agent's work.
    """

    by_agent_type: StatisticsViewByAgentType
    by_kind: StatisticsViewByKind
    by_policy: list[PolicyFigures]
    by_status: StatisticsViewByStatus
    oldest_pending: None | OldestView
    project_id: None | UUID
    since: datetime.datetime
    time_to_answer: AnswerTimesView
    truncated: bool
    window_hours: int
    without_agent_type: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.oldest_view import OldestView  # noqa: PLC0415

        by_agent_type = self.by_agent_type.to_dict()

        by_kind = self.by_kind.to_dict()

        by_policy = []
        for by_policy_item_data in self.by_policy:
            by_policy_item = by_policy_item_data.to_dict()
            by_policy.append(by_policy_item)

        by_status = self.by_status.to_dict()

        oldest_pending: dict[str, Any] | None
        if isinstance(self.oldest_pending, OldestView):
            oldest_pending = self.oldest_pending.to_dict()
        else:
            oldest_pending = self.oldest_pending

        project_id: None | str
        if isinstance(self.project_id, UUID):
            project_id = str(self.project_id)
        else:
            project_id = self.project_id

        since = self.since.isoformat()

        time_to_answer = self.time_to_answer.to_dict()

        truncated = self.truncated

        window_hours = self.window_hours

        without_agent_type = self.without_agent_type

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "by_agent_type": by_agent_type,
                "by_kind": by_kind,
                "by_policy": by_policy,
                "by_status": by_status,
                "oldest_pending": oldest_pending,
                "project_id": project_id,
                "since": since,
                "time_to_answer": time_to_answer,
                "truncated": truncated,
                "window_hours": window_hours,
                "without_agent_type": without_agent_type,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.answer_times_view import AnswerTimesView  # noqa: PLC0415
        from ..models.oldest_view import OldestView  # noqa: PLC0415
        from ..models.policy_figures import PolicyFigures  # noqa: PLC0415
        from ..models.statistics_view_by_agent_type import StatisticsViewByAgentType  # noqa: PLC0415
        from ..models.statistics_view_by_kind import StatisticsViewByKind  # noqa: PLC0415
        from ..models.statistics_view_by_status import StatisticsViewByStatus  # noqa: PLC0415

        d = dict(src_dict)
        by_agent_type = StatisticsViewByAgentType.from_dict(d.pop("by_agent_type"))

        by_kind = StatisticsViewByKind.from_dict(d.pop("by_kind"))

        by_policy = []
        _by_policy = d.pop("by_policy")
        for by_policy_item_data in _by_policy:
            by_policy_item = PolicyFigures.from_dict(by_policy_item_data)

            by_policy.append(by_policy_item)

        by_status = StatisticsViewByStatus.from_dict(d.pop("by_status"))

        def _parse_oldest_pending(data: object) -> None | OldestView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                oldest_pending_type_0 = OldestView.from_dict(data)

                return oldest_pending_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | OldestView, data)

        oldest_pending = _parse_oldest_pending(d.pop("oldest_pending"))

        def _parse_project_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                project_id_type_0 = UUID(data)

                return project_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        project_id = _parse_project_id(d.pop("project_id"))

        since = datetime.datetime.fromisoformat(d.pop("since").replace("Z", "+00:00"))

        time_to_answer = AnswerTimesView.from_dict(d.pop("time_to_answer"))

        truncated = d.pop("truncated")

        window_hours = d.pop("window_hours")

        without_agent_type = d.pop("without_agent_type")

        statistics_view = cls(
            by_agent_type=by_agent_type,
            by_kind=by_kind,
            by_policy=by_policy,
            by_status=by_status,
            oldest_pending=oldest_pending,
            project_id=project_id,
            since=since,
            time_to_answer=time_to_answer,
            truncated=truncated,
            window_hours=window_hours,
            without_agent_type=without_agent_type,
        )

        statistics_view.additional_properties = d
        return statistics_view

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
