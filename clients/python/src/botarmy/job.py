"""The task of an external worker, and what the worker makes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Answer",
    "Artifact",
    "Ask",
    "Cancelled",
    "Fail",
    "Job",
    "NewArtifact",
    "Result",
    "Resume",
    "Usage",
    "json_object",
]


@dataclass(frozen=True)
class Artifact:
    """Artifact that the task may read."""

    id: str
    """Id of the artifact."""
    type: str
    """Artifact type, such as `project_plan`."""
    name: str
    """Title of the content, or else the name of the type."""
    content: dict[str, Any]
    """Document."""


@dataclass(frozen=True)
class Answer:
    """A person's answer to a question."""

    question_id: str
    """Id of the request that held the question."""
    action: str
    """`approve`, `reject` or `amend`."""
    comment: str | None
    """Remark of the person."""
    content: Any
    """Text or replacement document that the person gave."""

    @property
    def text(self) -> str:
        """The words of the person; empty after a plain approval."""
        if isinstance(self.content, str):
            return self.content
        return json.dumps(self.content, ensure_ascii=False) if self.content else self.comment or ""


@dataclass(frozen=True)
class Resume:
    """State that an attempt continues with after a question was answered."""

    session: str | None
    """Text that the earlier attempt gave with its question."""
    answers: tuple[Answer, ...]
    """Answers to all questions of the task, oldest first."""


@dataclass(frozen=True)
class Job:
    """One attempt at a task: the document `botarmy.command/1`."""

    id: str
    """Id of the task."""
    project_id: str
    """Id of the project."""
    project_name: str
    """Name of the project."""
    agent: str
    """Agent type, such as `coder`."""
    attempt: int
    """Number of the attempt, from 1."""
    instructions: str
    """What is to be done."""
    step: str | None
    """Name of the workflow step; `None` for a task outside of a workflow."""
    output_type: str | None
    """Artifact type that the output becomes."""
    context: tuple[Artifact, ...]
    """Artifacts that the task may read."""
    output_schema: dict[str, Any] | None
    """JSON Schema of the output, if the step has one."""
    resume: Resume | None
    """State to continue with, if a question of an earlier attempt was answered."""
    document: dict[str, Any] = field(repr=False, compare=False)
    """The document as the server sent it."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Job:
        """Reads the document of a task. Keys that are unknown here are left in `document`."""
        task, resume = document["task"], document.get("resume")
        return cls(
            id=task["id"],
            project_id=task["project_id"],
            project_name=task["project_name"],
            agent=task["agent"],
            attempt=task["attempt"],
            instructions=task["instructions"],
            step=task.get("step"),
            output_type=task.get("output_type"),
            context=tuple(
                Artifact(one["id"], one["type"], one["name"], one["content"])
                for one in document["context"]
            ),
            output_schema=document.get("output_schema"),
            resume=resume
            and Resume(
                resume.get("session"),
                tuple(
                    Answer(
                        one["question_id"], one["action"], one.get("comment"), one.get("content")
                    )
                    for one in resume["answers"]
                ),
            ),
            document=document,
        )

    @property
    def answer(self) -> Answer | None:
        """The newest answer of a person, if there is one."""
        return self.resume.answers[-1] if self.resume and self.resume.answers else None

    def prompt(self) -> str:
        """Returns all that a model needs: instructions, artifacts, answers, form of the output."""
        parts = [f"# What is to be done\n\n{self.instructions}"]
        for given in self.context:
            content = json.dumps(given.content, ensure_ascii=False)
            parts.append(f"# Given: {given.name} ({given.type})\n\n{content}")
        for answer in self.resume.answers if self.resume else ():
            parts.append(f"# A person answered: {answer.action}\n\n{answer.text}")
        schema = json.dumps(self.output_schema or {"type": "object"}, ensure_ascii=False)
        parts.append(f"# Answer with one JSON object of this form (JSON Schema)\n\n{schema}")
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Usage:
    """What an attempt used."""

    provider: str | None = None
    """Provider of the model."""
    model: str | None = None
    """Name of the model."""
    input_tokens: int = 0
    """Tokens that the model read."""
    output_tokens: int = 0
    """Tokens that the model wrote."""
    cost_micro_usd: int | None = None
    """Cost in millionths of a US dollar."""


@dataclass(frozen=True)
class NewArtifact:
    """Artifact that an attempt made, beside its output."""

    artifact_type: str
    """Artifact type, such as `source_code`."""
    content: Mapping[str, Any]
    """Document."""
    metadata: Mapping[str, Any] | None = None
    """Remarks of the worker."""


@dataclass(frozen=True)
class Result:
    """Result of a task. A handler without more to say returns the output alone."""

    output: Mapping[str, Any]
    """For a step of a workflow the document of the step, unless one of the artifacts is."""
    artifacts: Sequence[NewArtifact] = ()
    """Further artifacts."""
    confidence: float | None = None
    """Confidence in the result, 0 to 1. With a low one, a person is asked."""
    usage: Usage | None = None
    """What the attempt used."""


@dataclass(frozen=True)
class Ask:
    """Question to a person. Ends the attempt; the next one has the answer in `Job.resume`."""

    question: str
    """Question."""
    options: Sequence[str] = ()
    """Suggested answers, in the order in which to show them."""
    artifacts: Sequence[str] = ()
    """Ids of artifacts under review."""
    session: str | None = None
    """Text for the worker that continues the task; at most 64 KiB."""
    usage: Usage | None = None
    """What the attempt used until then."""
    policy: str | None = None
    """Name of a policy of the project's workflow, by which the question is decided."""
    assignees: Sequence[str] = ()
    """People who are asked first, such as `user:ada`, `group:leads` or `role:reviewer`."""
    response_schema: Mapping[str, Any] | None = None
    """JSON Schema (draft 2020-12) of the answer."""


class Fail(Exception):
    """Failure of an attempt, with what is to happen next. A handler raises it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        """Name of the failure for programs, without white space; at most 64 characters."""
        self.message = message
        """Sentence for people."""
        self.retryable = retryable
        """Whether another attempt may succeed."""
        self.retry_after = retry_after
        """Earliest time of the next attempt, in seconds from now."""
        self.usage = usage
        """What the attempt used until then."""


class Cancelled(Exception):
    """The task was cancelled, the lease is lost, or the worker stops; the result does not count."""


def json_object(text: str) -> dict[str, Any]:
    """Returns the JSON object in a model's answer, whatever surrounds it.

    Raises `Fail` (`no_json`, retryable) if there is none.
    """
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except ValueError:
            start = text.find("{", start + 1)
        else:
            assert isinstance(found, dict)
            return found
    message = f"The answer has no JSON object: {text[:200]!r}"
    raise Fail("no_json", message, retryable=True)
