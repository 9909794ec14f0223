"""A real server for the tests, and a proxy that breaks connections to it."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from botarmy import Client, Retries
from botarmy.rest.api.access import create_key, create_principal
from botarmy.rest.api.projects import create_project
from botarmy.rest.api.tasks import get_task, submit_task
from botarmy.rest.models import (
    AgentType,
    GrantBody,
    GrantScope,
    NewKeyBody,
    NewKind,
    NewPrincipalBody,
    NewProjectBody,
    NewTaskBody,
    Role,
    Task,
)

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT = 30.0
# Short leases, so that a test does not wait long for what depends on them.
SETTINGS = {
    "BOTARMY_AGENTS__CODER__RUNNER": "none",
    "BOTARMY_AGENTS__TESTER__RUNNER": "none",
    "BOTARMY_WORKER__LEASE_S": "6",
    "BOTARMY_WORKER__FIRST_CALL_S": "3",
    "BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS": "10",
    "BOTARMY_LOG__FORMAT": "json",
}


def binary() -> Path:
    """Returns the server under test."""
    path = os.environ.get("BOTARMY_TEST_SERVER")
    assert path, "set BOTARMY_TEST_SERVER to the path of botarmy-server"
    return Path(path)


def until(holds: Callable[[], object], timeout: float = TIMEOUT) -> None:
    """Waits until something holds."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Server:
    """A server with its own data, which can be killed and started again."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.settings = SETTINGS if settings is None else settings
        self.folder = Path(tempfile.mkdtemp())
        self.port = 0
        self.start()
        self.key_file = self.folder / "admin.header"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        others = {k: v for k, v in os.environ.items() if not k.startswith("BOTARMY_")}
        log = self.folder / "log"
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [binary(), "--data-dir", self.folder, "serve", "--port", str(self.port)],
                env={**others, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

        def serves() -> bool:
            assert self.process.poll() is None, log.read_text()
            found = re.search(r"Serving on http://127\.0\.0\.1:(\d+)", log.read_text())
            self.port = int(found[1]) if found else 0
            return found is not None

        until(serves)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)


class Proxy:
    """A proxy on a port of its own, in front of a server."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.swallow = False
        """Whether to close the next connection instead of passing a response on."""
        self.away = False
        """Whether to close new connections at once."""
        self.stalled = False
        """Whether to pass nothing on, while connections stay open."""
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.away:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_response: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_response and self.swallow:
                    self.swallow = False
                    break
                while self.stalled:
                    time.sleep(0.01)
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut(self) -> None:
        """Closes all connections."""
        connections, self._open = self._open, []
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.stalled = False
        self._listener.close()
        self.cut()


# Tests do not wait for long pauses.
QUICK = Retries(attempts=6, first_pause=0.05, max_pause=0.2)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with its own data, so that no test sees the tasks of another."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of the server."""
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


def admin(server: Server, url: str | None = None) -> Client:
    """Returns a client of the administrator."""
    return Client(url or server.url, key_file=server.key_file, retries=QUICK)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of the administrator of the server."""
    with admin(server) as client:
        yield client


def worker_key(client: Client) -> str:
    """Creates a worker, and returns its key."""
    everything = GrantBody(on=GrantScope.ALL, role=Role.WORKER)
    name = f"worker {time.monotonic_ns()}"
    body = NewPrincipalBody(name=name, kind=NewKind.SERVICE, grants=[everything])
    principal = create_principal.sync(client=client, body=body)
    key = create_key.sync(client=client, body=NewKeyBody(principal_id=principal.id, name="a key"))
    return key.key


@pytest.fixture
def key(server: Server) -> str:
    """The key of a worker of the server."""
    with admin(server) as client:
        return worker_key(client)


@pytest.fixture
def worker_client(server: Server, key: str) -> Iterator[Client]:
    """A client of a worker."""
    with Client(server.url, key, retries=QUICK) as client:
        yield client


def new_task(client: Client, agent: AgentType = AgentType.CODER, **more: object) -> UUID:
    """Creates a task outside of a workflow, and returns its id."""
    project = create_project.sync(client=client, body=NewProjectBody(name="Poems"))
    body = NewTaskBody(agent_type=agent, instructions="A haiku about queues", **more)  # type: ignore[arg-type]
    return submit_task.sync(project.id, client=client, body=body).task_id


def when(client: Client, task: UUID, status: str) -> Task:
    """Waits until a task has a status, and returns it."""
    until(lambda: get_task.sync(task, client=client).status == status)
    return get_task.sync(task, client=client)
