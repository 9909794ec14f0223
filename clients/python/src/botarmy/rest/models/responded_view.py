from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.hitl_action import HitlAction
from ..models.hitl_outcome import HitlOutcome
from ..models.hitl_status import HitlStatus

if TYPE_CHECKING:
    from ..models.entry_reference import EntryReference
    from ..models.needs_view import NeedsView


T = TypeVar("T", bound="RespondedView")


@_attrs_define
class RespondedView:
    """Effect of a response.

    Attributes:
        action (HitlAction): Answer to a request.
        entry (EntryReference | None):
        message (str):
        needs (NeedsView): Approvals that are missing.
        outcome (HitlOutcome | None):
        request_id (UUID):
        status (HitlStatus):
        workflow_resumed (bool): Whether work goes on because of the response.
    """

    action: HitlAction
    entry: EntryReference | None
    message: str
    needs: NeedsView
    outcome: HitlOutcome | None
    request_id: UUID
    status: HitlStatus
    workflow_resumed: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.entry_reference import EntryReference  # noqa: PLC0415

        action = self.action.value

        entry: dict[str, Any] | None
        if isinstance(self.entry, EntryReference):
            entry = self.entry.to_dict()
        else:
            entry = self.entry

        message = self.message

        needs = self.needs.to_dict()

        outcome: None | str
        if isinstance(self.outcome, HitlOutcome):
            outcome = self.outcome.value
        else:
            outcome = self.outcome

        request_id = str(self.request_id)

        status = self.status.value

        workflow_resumed = self.workflow_resumed

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "action": action,
                "entry": entry,
                "message": message,
                "needs": needs,
                "outcome": outcome,
                "request_id": request_id,
                "status": status,
                "workflow_resumed": workflow_resumed,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_reference import EntryReference  # noqa: PLC0415
        from ..models.needs_view import NeedsView  # noqa: PLC0415

        d = dict(src_dict)
        action = HitlAction(d.pop("action"))

        def _parse_entry(data: object) -> EntryReference | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                entry_type_0 = EntryReference.from_dict(data)

                return entry_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(EntryReference | None, data)

        entry = _parse_entry(d.pop("entry"))

        message = d.pop("message")

        needs = NeedsView.from_dict(d.pop("needs"))

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

        request_id = UUID(d.pop("request_id"))

        status = HitlStatus(d.pop("status"))

        workflow_resumed = d.pop("workflow_resumed")

        responded_view = cls(
            action=action,
            entry=entry,
            message=message,
            needs=needs,
            outcome=outcome,
            request_id=request_id,
            status=status,
            workflow_resumed=workflow_resumed,
        )

        responded_view.additional_properties = d
        return responded_view

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
