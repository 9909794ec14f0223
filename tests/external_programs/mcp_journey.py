"""A person's assistant, with one of two MCP clients: starts a project, follows it until a gate opens, reads
what is under review, and answers.

Usage: mcp_journey.py official|legacy|fastmcp COMMAND... ; prints `done: PROJECT`.
"""

import asyncio
import contextlib
import sys

LIBRARY, COMMAND = sys.argv[1], sys.argv[2:]
READING = {"list_gates", "read_gate", "read_document", "read_changes", "list_projects", "show_project",
           "follow_project"}
WRONG = "0" * 64


class Result:
    """Result of a tool, whatever the library calls its members."""

    def __init__(self, found):
        member = lambda *names: next(getattr(found, name) for name in names if hasattr(found, name))
        self.is_error = bool(member("is_error", "isError"))
        self.data = member("structured_content", "structuredContent")
        self.text = "".join(block.text for block in found.content)


@contextlib.asynccontextmanager
async def official(command):
    """The client of the official library, which asks for the newest protocol."""
    from mcp import Client, StdioServerParameters

    async with Client(StdioServerParameters(command=command[0], args=command[1:])) as client:
        async def tools():
            return (await client.list_tools()).tools

        yield tools, client.call_tool


@contextlib.asynccontextmanager
async def legacy(command):
    """A session of the official library that begins with `initialize`, as those of earlier clients do."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(command=command[0], args=command[1:])
    async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
        greeting = await session.initialize()
        assert "Answer a gate only when" in greeting.instructions, greeting

        async def tools():
            return (await session.list_tools()).tools

        yield tools, session.call_tool


@contextlib.asynccontextmanager
async def fastmcp(command):
    """The client of FastMCP."""
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    async with Client(StdioTransport(command[0], command[1:], keep_alive=False)) as client:
        async def call(name, arguments):
            return await client.call_tool(name, arguments, raise_on_error=False)

        yield client.list_tools, call


async def until_a_gate_opens(use, project):
    """Follows a project; returns the id of its gate."""
    position = 0
    for _ in range(60):
        heard = await use("follow_project", project_id=project, after=position, wait_s=5)
        positions = [event["seq"] for event in heard["events"] if event.get("seq")]
        assert positions == sorted(set(positions)) and min(positions, default=position + 1) > position
        position = heard["position"]
        for event in heard["events"]:
            if event["event_type"] == "hitl_request_created":
                return event["data"]["hitl_request_id"]
    raise AssertionError("no gate has opened")


async def read_whole(use, document):
    """Reads a document in parts; returns its text."""
    text, offset = "", 0
    while offset is not None:
        part = await use("read_document", context_id=document, offset=offset, max_chars=500)
        assert part["offset"] == offset and len(part["text"]) <= 500
        text, offset = text + part["text"], part["next_offset"]
    assert len(text) == part["total_chars"]
    return text


async def main():
    connect = {"official": official, "legacy": legacy, "fastmcp": fastmcp}[LIBRARY]

    def using(call):
        async def use(name, /, **arguments):
            found = Result(await call(name, arguments))
            assert not found.is_error, found.text
            return found.data

        async def refused(name, /, **arguments):
            found = Result(await call(name, arguments))
            assert found.is_error, found.text
            return found.text

        return use, refused

    async with connect(COMMAND) as (tools, call):
        use, refused = using(call)
        listed = {tool.name: tool for tool in await tools()}
        assert set(listed) == READING | {"start_project", "comment_gate"}, set(listed)
        for name, tool in listed.items():
            hints = tool.annotations
            hint = getattr(hints, "read_only_hint", None)
            hint = hints.readOnlyHint if hint is None else hint
            assert hint == (name in READING), tool
        started = await use("start_project", name="Recipes", idea="A recipe site for small families")
        project = started["project_id"]
        gate = await until_a_gate_opens(use, project)
        pending = await use("list_gates", project_id=project)
        assert [one["request_id"] for one in pending["gates"]] == [gate], pending
        everywhere = await use("list_gates", limit=50)
        assert gate in [one["request_id"] for one in everywhere["gates"]], everywhere
        seen = await use("read_gate", request_id=gate)
        digest = seen["subject_digest"]
        (under_review,) = seen["gate"]["subject"]["artifacts"]
        text = await read_whole(use, under_review["context_id"])
        assert "recipe" in text.lower(), text
        whole = Result(await call("read_document", {"context_id": under_review["context_id"]}))
        first = text[:400]
        assert whole.text.count("--- begin data ") == 1 and first in whole.text, whole.text
        changed = await use("read_changes", context_id=under_review["context_id"])
        assert changed["previous"] is None and changed["text"] == "", changed
        answer = {"request_id": gate, "action": "approve", "subject_digest": digest}
        assert "--allow-answers" in await refused("answer_gate", **answer)
        assert "must be" in await refused("list_gates", limit=5000)
        assert "404" in await refused("show_project", project_id=gate)

    async with connect([*COMMAND, "--allow-answers"]) as (tools, call):
        use, refused = using(call)
        assert "answer_gate" in {tool.name for tool in await tools()}
        assert "409" in await refused("answer_gate", **{**answer, "subject_digest": WRONG})
        assert (await use("read_gate", request_id=gate))["gate"]["status"] == "pending"
        done = await use("answer_gate", comment="Fine.", **answer)
        assert done["answer"]["status"] == "approved", done
        shown = await use("show_project", project_id=project)
        assert shown["project"]["status"] == "active", shown
        listed = await use("list_projects", status="active")
        assert project in [one["id"] for one in listed["projects"]], listed
    print(f"done: {project}")


asyncio.run(main())
