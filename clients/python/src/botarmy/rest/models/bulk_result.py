from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.problem import Problem
    from ..models.responded_view import RespondedView


T = TypeVar("T", bound="BulkResult")


@_attrs_define
class BulkResult:
    """Result of one answer.

    Attributes:
        body (Any): Body that the route of a single request would respond with: the effect or the reason.
        problem (None | Problem):
        request_id (UUID):
        response (None | RespondedView):
        status (int): HTTP status that the route of a single request would respond with.
    """

    body: Any
    problem: None | Problem
    request_id: UUID
    response: None | RespondedView
    status: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.problem import Problem  # noqa: PLC0415
        from ..models.responded_view import RespondedView  # noqa: PLC0415

        body = self.body

        problem: dict[str, Any] | None
        if isinstance(self.problem, Problem):
            problem = self.problem.to_dict()
        else:
            problem = self.problem

        request_id = str(self.request_id)

        response: dict[str, Any] | None
        if isinstance(self.response, RespondedView):
            response = self.response.to_dict()
        else:
            response = self.response

        status = self.status

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "body": body,
                "problem": problem,
                "request_id": request_id,
                "response": response,
                "status": status,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.problem import Problem  # noqa: PLC0415
        from ..models.responded_view import RespondedView  # noqa: PLC0415

        d = dict(src_dict)
        body = d.pop("body")

        def _parse_problem(data: object) -> None | Problem:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                problem_type_0 = Problem.from_dict(data)

                return problem_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Problem, data)

        problem = _parse_problem(d.pop("problem"))

        request_id = UUID(d.pop("request_id"))

        def _parse_response(data: object) -> None | RespondedView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                response_type_0 = RespondedView.from_dict(data)

                return response_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RespondedView, data)

        response = _parse_response(d.pop("response"))

        status = d.pop("status")

        bulk_result = cls(
            body=body,
            problem=problem,
            request_id=request_id,
            response=response,
            status=status,
        )

        bulk_result.additional_properties = d
        return bulk_result

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
