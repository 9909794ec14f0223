from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewRequestBody")


@_attrs_define
class NewRequestBody:
    """Request for a decision by a person.

    Attributes:
        project_id (UUID):
        question (str): Question; must not be blank.
        artifacts (list[UUID] | None | Unset): Artifacts under review, of the same project.
        assignees (list[str] | None | Unset): People who are asked first, such as `user:ada`, `group:leads` or
            `role:reviewer`. People and groups
            that do not exist are refused.
        options (list[str] | None | Unset): Suggested answers, in the order in which to show them.
        policy (None | str | Unset): Name of a policy of the project's workflow; one approval of anyone who may answer
            when absent.
        response_schema (Any | Unset): JSON Schema (draft 2020-12) that `response` of an answer must match.
        task_id (None | Unset | UUID): Task that the request is about.
        ttl_seconds (int | None | Unset): Seconds until the request expires; the server's setting when absent.
    """

    project_id: UUID
    question: str
    artifacts: list[UUID] | None | Unset = UNSET
    assignees: list[str] | None | Unset = UNSET
    options: list[str] | None | Unset = UNSET
    policy: None | str | Unset = UNSET
    response_schema: Any | Unset = UNSET
    task_id: None | Unset | UUID = UNSET
    ttl_seconds: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        project_id = str(self.project_id)

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

        task_id: None | str | Unset
        if isinstance(self.task_id, Unset):
            task_id = UNSET
        elif isinstance(self.task_id, UUID):
            task_id = str(self.task_id)
        else:
            task_id = self.task_id

        ttl_seconds: int | None | Unset
        if isinstance(self.ttl_seconds, Unset):
            ttl_seconds = UNSET
        else:
            ttl_seconds = self.ttl_seconds

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "project_id": project_id,
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
        if task_id is not UNSET:
            field_dict["task_id"] = task_id
        if ttl_seconds is not UNSET:
            field_dict["ttl_seconds"] = ttl_seconds

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        project_id = UUID(d.pop("project_id"))

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

        def _parse_task_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                task_id_type_0 = UUID(data)

                return task_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        task_id = _parse_task_id(d.pop("task_id", UNSET))

        def _parse_ttl_seconds(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        ttl_seconds = _parse_ttl_seconds(d.pop("ttl_seconds", UNSET))

        new_request_body = cls(
            project_id=project_id,
            question=question,
            artifacts=artifacts,
            assignees=assignees,
            options=options,
            policy=policy,
            response_schema=response_schema,
            task_id=task_id,
            ttl_seconds=ttl_seconds,
        )

        return new_request_body
