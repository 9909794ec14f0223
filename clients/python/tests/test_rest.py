"""Calls of operations, their errors, and their repetitions."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from botarmy import (
    Client,
    Invalid,
    NotFound,
    ProblemError,
    RateLimited,
    Retries,
    Unauthorized,
    Unavailable,
)
from botarmy.rest.api.agents import list_agent_statuses
from botarmy.rest.api.audit import search_project_events
from botarmy.rest.api.context import create_artifact, get_artifact
from botarmy.rest.api.hitl import list_project_requests, respond_to_request
from botarmy.rest.api.projects import create_project, get_project, list_projects
from botarmy.rest.models import (
    AgentType,
    ArtifactType,
    HitlAction,
    NewArtifactBody,
    NewProjectBody,
    RespondBody,
    TaskStatus,
)
from conftest import QUICK, Proxy, Server, admin, until


def test_a_project_is_created_read_and_listed(client: Client) -> None:
    made = create_project.sync_detailed(client=client, body=NewProjectBody(name="Recipes"))
    assert made.status_code == 201
    assert made.headers["location"].endswith(str(made.parsed.id))
    assert isinstance(made.parsed.id, UUID)
    assert made.parsed.created_at.tzinfo is not None
    assert get_project.sync(made.parsed.id, client=client).name == "Recipes"
    listed = list_projects.sync(client=client, limit=100).items
    assert made.parsed.id in [one.id for one in listed]


def test_calls_of_an_asynchronous_program(server: Server) -> None:
    async def main() -> None:
        async with admin(server) as client:
            body = NewProjectBody(name="Recipes")
            made = await create_project.asyncio(client=client, body=body)
            found = await get_project.asyncio_detailed(made.id, client=client)
            assert found.parsed.name == "Recipes"
            with pytest.raises(NotFound):
                await get_project.asyncio(uuid4(), client=client)

    asyncio.run(main())


def test_a_workflow_is_reviewed_by_its_person(client: Client) -> None:
    body = NewProjectBody(name="Recipes", description="A site for recipes", workflow="sdlc")
    project = create_project.sync(client=client, body=body)
    until(lambda: list_project_requests.sync(project.id, client=client))
    gate = list_project_requests.sync(project.id, client=client)[0]
    answer = RespondBody(action=HitlAction.APPROVE, subject_digest=gate.subject.digest)
    done = respond_to_request.sync(gate.request_id, client=client, body=answer)
    assert done.status == "approved"


def test_a_document_of_any_form_is_a_dict(client: Client) -> None:
    project = create_project.sync(client=client, body=NewProjectBody(name="Recipes"))
    content = {"title": "Ümlaut", "list": [1, {"deep": None}]}
    body = NewArtifactBody(
        project_id=project.id,
        source_agent=AgentType.ANALYST,
        artifact_type=ArtifactType.PROJECT_PLAN,
        content=content,
    )
    made = create_artifact.sync(client=client, body=body)
    found = get_artifact.sync(made.context_id, client=client)
    assert found is not None
    assert found.content == content
    # With the digest of what is known already, there is no content.
    etag = f'"{found.digest}"'
    assert get_artifact.sync(made.context_id, client=client, if_none_match=etag) is None


def test_errors_have_the_fields_of_their_documents(client: Client, server: Server) -> None:
    with pytest.raises(NotFound) as missing:
        get_project.sync(uuid4(), client=client, x_request_id="the-request-7")
    assert missing.value.status == 404
    assert missing.value.request_id == "the-request-7"
    assert "does not exist" in missing.value.detail
    assert "the-request-7" in str(missing.value)
    with pytest.raises(Invalid) as invalid:
        create_project.sync(client=client, body=NewProjectBody(name=" "))
    assert [error.field for error in invalid.value.errors] == ["name"]
    with pytest.raises(Unauthorized) as stranger, Client(server.url, "no key") as other:
        list_agent_statuses.sync(client=other)
    assert isinstance(stranger.value, ProblemError)


def test_a_value_of_a_newer_server_is_kept() -> None:
    status = TaskStatus("sleeping")
    assert status == "sleeping"
    assert str(status) == "sleeping"
    assert status is not TaskStatus.PENDING


def test_a_call_is_repeated_under_its_key_and_done_once(
    client: Client, server: Server, proxy: Proxy
) -> None:
    with admin(server, proxy.url) as through:
        proxy.swallow = True
        made = create_project.sync(client=through, body=NewProjectBody(name="Once"))
        assert not proxy.swallow, "the response to the first attempt was lost"
    names = [
        one.id for one in list_projects.sync(client=client, limit=100).items if one.name == "Once"
    ]
    assert names == [made.id]


def test_a_call_with_a_key_of_its_own_is_replayed(client: Client) -> None:
    body, key = NewProjectBody(name="Recipes"), str(uuid4())
    first = create_project.sync(client=client, body=body, idempotency_key=key)
    again = create_project.sync_detailed(client=client, body=body, idempotency_key=key)
    assert again.parsed.id == first.id
    assert again.headers["idempotency-replayed"] == "true"
    with pytest.raises(Invalid):
        create_project.sync(client=client, body=NewProjectBody(name="Other"), idempotency_key=key)


def test_a_server_that_comes_back_is_waited_for(server: Server, proxy: Proxy) -> None:
    proxy.away = True
    threading.Timer(0.2, lambda: setattr(proxy, "away", False)).start()
    with admin(server, proxy.url) as client:
        assert list_agent_statuses.sync(client=client)


def test_a_server_that_does_not_come_back_is_given_up(server: Server, proxy: Proxy) -> None:
    proxy.away = True
    with admin(server, proxy.url) as client, pytest.raises(httpx.TransportError):
        list_agent_statuses.sync(client=client)


class Scripted:
    """A server that gives these responses, one after another."""

    def __init__(self, *responses: tuple[int, dict[str, str], str]) -> None:
        left = list(responses)
        self.received: list[tuple[str, str | None]] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                received.append((self.path, self.headers.get("idempotency-key")))
                status, headers, body = left.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                return

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


PROJECT = json.dumps(
    {
        "id": str(uuid4()),
        "name": "x",
        "description": None,
        "status": "active",
        "workflow": None,
        "oversight": "standard",
        "created_at": "2026-12-01T08:00:00.000000Z",
        "updated_at": "2026-12-01T08:00:00.000000Z",
    }
)


def test_what_may_pass_is_repeated_and_nothing_else(tmp_path: Path) -> None:
    body = NewProjectBody(name="x")
    waits = {"Retry-After": "0"}
    with Scripted((503, waits, ""), (429, waits, ""), (409, waits, ""), (201, {}, PROJECT)) as fake:
        create_project.sync(client=Client(fake.url, "k", retries=QUICK), body=body)
        assert len(fake.received) == 4
        assert len({key for _, key in fake.received}) == 1, "the key is the same"
    # Without a key, a 503 may have done something.
    with Scripted((503, waits, "<h1>away</h1>")) as fake:
        with pytest.raises(Unavailable) as away:
            Client(fake.url, "k", retries=QUICK).request("POST", "/somewhere", json={})
        assert "away" in away.value.detail
        assert away.value.retry_after == 0
    with Scripted((429, {"Retry-After": "3600"}, "{}")) as fake:
        with pytest.raises(RateLimited) as limited:
            create_project.sync(client=Client(fake.url, "k", retries=QUICK), body=body)
        assert limited.value.retry_after == 3600
    with Scripted((503, {}, ""), (503, {}, "")) as fake:
        twice = Retries(attempts=2, first_pause=0.01)
        with pytest.raises(Unavailable):
            create_project.sync(client=Client(fake.url, "k", retries=twice), body=body)
        assert len(fake.received) == 2


def test_the_address_and_the_key_come_from_the_environment(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("BOTARMY_SERVER", server.url + "/")
    monkeypatch.setenv("BOTARMY_KEY_FILE", str(server.key_file))
    with Client() as client:
        assert list_agent_statuses.sync(client=client)
        assert client.server == server.url
        assert "botarmy_k_" not in repr(client)
    assert caplog.records == []
    open_file = tmp_path / "key"
    open_file.write_text(server.key_file.read_text())
    open_file.chmod(0o644)
    with Client(key_file=open_file) as client:
        assert list_agent_statuses.sync(client=client)
    assert "chmod 600" in caplog.text
    monkeypatch.setenv("BOTARMY_KEY", "no key")
    with Client() as client, pytest.raises(Unauthorized):
        list_agent_statuses.sync(client=client)


def test_the_log_of_a_project_is_read(client: Client) -> None:
    project = create_project.sync(client=client, body=NewProjectBody(name="Recipes"))
    entries = search_project_events.sync(project.id, client=client)
    assert [entry.event_type for entry in entries] == ["project_created"]
    assert entries[0].event_data["name"] == "Recipes"
