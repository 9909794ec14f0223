from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.usage_body import UsageBody


T = TypeVar("T", bound="AskBody")


@_attrs_define
class AskBody:
    """Question to a person.

    Attributes:
        question (str): Question; must not be blank.
        artifacts (list[UUID] | None | Unset): Artifacts under review, of the same project.
        assignees (list[str] | None | Unset): People who are asked first, such as `user:ada`, `group:leads` or
            `role:reviewer`. People and groups
            that do not exist are refused.
        options (list[str] | None | Unset): Suggested answers, in the order in which to show them.
        policy (None | str | Unset): Name of a policy of the project's workflow; one approval of anyone who may answer
            when absent.
        response_schema (Any | Unset): JSON Schema (draft 2020-12) that `response` of an answer must match.
        session (None | str | Unset): Text for the worker that continues the task; at most 64 KiB.
        usage (None | Unset | UsageBody):
    """

    question: str
    artifacts: list[UUID] | None | Unset = UNSET
    assignees: list[str] | None | Unset = UNSET
    options: list[str] | None | Unset = UNSET
    policy: None | str | Unset = UNSET
    response_schema: Any | Unset = UNSET
    session: None | str | Unset = UNSET
    usage: None | Unset | UsageBody = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        question = self.question

        artifacts: list[str] | None | Unset
        if isinstance(self.artifacts, Unset):
            artifacts = UNSET
        elif isinstance(self.artifacts, list):
            artifacts = []
            for artifacts_type_0_item_data in self.artifacts:
                artifacts_type_0_item = str(artifacts_type_0_item_data)
                artifacts.append(artifacts_type_0_item)

        else:
            artifacts = self.artifacts

        assignees: list[str] | None | Unset
        if isinstance(self.assignees, Unset):
            assignees = UNSET
        elif isinstance(self.assignees, list):
            assignees = self.assignees

        else:
            assignees = self.assignees

        options: list[str] | None | Unset
        if isinstance(self.options, Unset):
            options = UNSET
        elif isinstance(self.options, list):
            options = self.options

        else:
            options = self.options

        policy: None | str | Unset
        if isinstance(self.policy, Unset):
            policy = UNSET
        else:
            policy = self.policy

        response_schema = self.response_schema

        session: None | str | Unset
        if isinstance(self.session, Unset):
            session = UNSET
        else:
            session = self.session

        usage: dict[str, Any] | None | Unset
        if isinstance(self.usage, Unset):
            usage = UNSET
        elif isinstance(self.usage, UsageBody):
            usage = self.usage.to_dict()
        else:
            usage = self.usage

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "question": question,
            }
        )
        if artifacts is not UNSET:
            field_dict["artifacts"] = artifacts
        if assignees is not UNSET:
            field_dict["assignees"] = assignees
        if options is not UNSET:
            field_dict["options"] = options
        if policy is not UNSET:
            field_dict["policy"] = policy
        if response_schema is not UNSET:
            field_dict["response_schema"] = response_schema
        if session is not UNSET:
            field_dict["session"] = session
        if usage is not UNSET:
            field_dict["usage"] = usage

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.usage_body import UsageBody  # noqa: PLC0415

        d = dict(src_dict)
        question = d.pop("question")

        def _parse_artifacts(data: object) -> list[UUID] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                artifacts_type_0 = []
                _artifacts_type_0 = data
                for artifacts_type_0_item_data in _artifacts_type_0:
                    artifacts_type_0_item = UUID(artifacts_type_0_item_data)

                    artifacts_type_0.append(artifacts_type_0_item)

                return artifacts_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[UUID] | None | Unset, data)

        artifacts = _parse_artifacts(d.pop("artifacts", UNSET))

        def _parse_assignees(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                assignees_type_0 = cast(list[str], data)

                return assignees_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        assignees = _parse_assignees(d.pop("assignees", UNSET))

        def _parse_options(data: object) -> list[str] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                options_type_0 = cast(list[str], data)

                return options_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None | Unset, data)

        options = _parse_options(d.pop("options", UNSET))

        def _parse_policy(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        policy = _parse_policy(d.pop("policy", UNSET))

        response_schema = d.pop("response_schema", UNSET)

        def _parse_session(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        session = _parse_session(d.pop("session", UNSET))

        def _parse_usage(data: object) -> None | Unset | UsageBody:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                usage_type_0 = UsageBody.from_dict(data)

                return usage_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UsageBody, data)

        usage = _parse_usage(d.pop("usage", UNSET))

        ask_body = cls(
            question=question,
            artifacts=artifacts,
            assignees=assignees,
            options=options,
            policy=policy,
            response_schema=response_schema,
            session=session,
            usage=usage,
        )

        return ask_body
