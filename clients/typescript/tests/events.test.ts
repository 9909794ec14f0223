/** Following events, against a server that says what a test wants. */

import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, type Event, type FollowOptions, ProblemError } from "../src/index.js";
import { SseParser } from "../src/sse.js";
import { Proxy, QUICK, Server, until } from "./server.js";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/** Returns an event as the server sends it. */
function frame(n: number, kind = "task_created", more: Record<string, unknown> = {}): string {
  const text = {
    event_type: kind, project_id: "p", task_id: null, agent_type: null, data: { n },
    timestamp: "2026-12-01T08:00:00.123456Z", seq: n, id: `e${n}`, ...more,
  };
  return `id: ${n}\nevent: ${kind}\ndata: ${JSON.stringify(text)}\n\n`;
}

/** Starts a server that answers each connection with the next of these texts, with pauses between. */
async function streams(t: TestContext, ...answers: (string | number)[][]) {
  const requests: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const answer = answers.shift();
    if (answer === undefined) {
      socket.destroy();
      return;
    }
    socket.once("data", (data) => {
      requests.push(data.toString());
      void (async () => {
        for (const piece of answer) {
          if (typeof piece === "number") await sleep(piece, undefined, { ref: false });
          else socket.write(piece);
        }
        socket.end();
      })();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const lastEventIds = () => requests.map((one) => /last-event-id: (.*)\r/i.exec(one)?.[1]);
  return { client: new Client({ server: url, key: "k", retries: QUICK }), requests, lastEventIds };
}

async function take(client: Client, number: number, options: FollowOptions = {}): Promise<Event[]> {
  const found: Event[] = [];
  for await (const event of client.follow("p", options)) {
    found.push(event);
    if (found.length === number) break;
  }
  return found;
}

test("events are typed, and positions are kept", async (t) => {
  const unlogged = frame(2, "task_progress", { seq: undefined });
  const { client, requests } = await streams(t, [HEAD, ": hello\n\n", frame(1), unlogged]);
  const [first, second] = await take(client, 2);
  assert(first && second);
  assert.deepEqual([first.event_type, first.project_id, first.seq, first.position], ["task_created", "p", 1, "1"]);
  assert.deepEqual([first.data, first.id], [{ n: 1 }, "e1"]);
  assert.deepEqual([second.event_type, second.seq, second.position], ["task_progress", undefined, "2"]);
  assert(requests[0]?.includes("project_id=p") && requests[0].includes("Bearer k"));
});

test("a lost connection continues without gaps or duplicates", async (t) => {
  const cut = frame(3).slice(0, 25);
  const { client, lastEventIds } = await streams(
    t,
    [HEAD, frame(1), frame(2), cut],
    [HEAD, frame(2), frame(3)],
    ["HTTP/1.1 503 Away\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"],
    [HEAD, frame(4)],
  );
  const found = await take(client, 4, { lastEventId: "0" });
  assert.deepEqual(found.map((event) => event.seq), [1, 2, 3, 4]);
  assert.deepEqual(lastEventIds(), ["0", "2", "3", "3"]);
});

for (const [name, end] of [["LF", "\n"], ["CR LF", "\r\n"], ["CR", "\r"]] as const) {
  test(`a stream with ${name} may arrive in any pieces`, async (t) => {
    const text = `${frame(1, "task_created", { data: { text: "Grüße \u2028 dir" } })}${frame(2)}${frame(3)}`;
    const { client } = await streams(t, [HEAD, ...text.replaceAll("\n", end).split("")]);
    const [first, second] = await take(client, 2);
    assert.deepEqual(first?.data, { text: "Grüße \u2028 dir" });
    assert.equal(second?.seq, 2);
  });
}

test("a silent connection counts as lost", async (t) => {
  const alive = [1, 2, 3, 4, 5].flatMap(() => [": heartbeat\n\n", 200]);
  const { client, lastEventIds } = await streams(t, [HEAD, frame(1), ...alive, frame(2), 2000], [HEAD, frame(3)]);
  const began = performance.now();
  const found = await take(client, 3, { silenceMs: 500 });
  assert.deepEqual(found.map((event) => event.seq), [1, 2, 3]);
  // Heartbeats keep it open, and silence ends it before the server does.
  assert(performance.now() - began < 2900);
  assert.deepEqual(lastEventIds(), [undefined, "2"]);
});

test("a gap is an event from which the stream goes on", async (t) => {
  const gap = frame(1, "gap", { seq: undefined, id: undefined, data: { message: "The log was replaced." } });
  const { client, lastEventIds } = await streams(t, [HEAD, frame(9), gap], [HEAD, frame(2)]);
  const found = await take(client, 3);
  assert.deepEqual(found.map((event) => [event.event_type, event.seq]), [
    ["task_created", 9], ["gap", undefined], ["task_created", 2],
  ]);
  assert.deepEqual(lastEventIds(), [undefined, "1"]);
});

test("a position without an event counts", async (t) => {
  const { client, lastEventIds } = await streams(
    t, [HEAD, "retry: 10\nid: 7\n\n"], [HEAD, ": alive\nid: 8\n\n"], [HEAD, frame(9)],
  );
  const [event] = await take(client, 1);
  assert.equal(event?.seq, 9);
  assert.deepEqual(lastEventIds(), [undefined, "7", "8"]);
});

test("an event is recognised by its id", async (t) => {
  const frames = [frame(5, "x", { project_id: "a", id: "x" }), frame(1, "x", { project_id: "b", id: "y" })];
  const unlogged = frame(1, "x", { project_id: "b", id: undefined });
  const { client } = await streams(t, [HEAD, ...frames, frames[0] ?? "", unlogged, unlogged]);
  const found = await take(client, 4);
  assert.deepEqual(found.map((event) => event.project_id), ["a", "b", "b", "b"]);
});

test("a stream is parsed as its specification says", () => {
  const text = "\uFEFF: comment\nid\ndata\n\nid: 1\ndata:x\ndata:  y\nretry: 1x\nother: z\n\nevent: e\nretry: 20\n\nid: a\0b\ndata: cut";
  const parse = (pieces: string[]) => {
    const parser = new SseParser();
    const decoder = new TextDecoder();
    const decode = (piece: string) => decoder.decode(Buffer.from(piece), { stream: true });
    return pieces.flatMap((piece) => [...parser.feed(decode(piece))]);
  };
  const expected = [
    { event: "message", data: "", lastEventId: "", retryMs: undefined },
    { event: "message", data: "x\n y", lastEventId: "1", retryMs: undefined },
    { event: "e", data: undefined, lastEventId: "1", retryMs: 20 },
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    const sent = text.replaceAll("\n", end);
    assert.deepEqual(parse([sent]), expected);
    assert.deepEqual(parse(sent.split("")), expected);
  }
});

test("events of a real server continue after lost connections", async (t) => {
  const server = await Server.start(t);
  const proxy = await Proxy.start(t, server);
  const client = server.admin();
  const project = await client.post("/api/v1/projects", { body: { name: "Poems" } });
  const stop = new AbortController();
  const seen: Event[] = [];
  const everything: Event[] = [];
  const collect = async (id: string, events: Event[], lastEventId?: string) => {
    const options = { lastEventId, signal: stop.signal };
    for await (const event of server.admin(proxy.url).follow(id, options)) events.push(event);
  };
  const following = Promise.all([collect(project.id, seen, "0"), collect("all", everything)]);
  await until(() => seen.length === 1);
  const tasks: string[] = [];
  while (tasks.length < 3) {
    const made = await client.post("/api/v1/projects/{project_id}/tasks", {
      params: { path: { project_id: project.id } },
      body: { agent_type: "coder", instructions: "Wait" },
    });
    tasks.push(made.task_id);
    proxy.cut();
  }
  const created = (events: Event[]) => events.filter((one) => one.event_type === "task_created");
  await until(() => created(seen).length >= 3 && created(everything).length >= 3);
  await server.kill();
  await server.start();
  const params = { path: { project_id: project.id } };
  await client.post("/api/v1/projects/{project_id}/cancel", { params });
  const isEnd = (event: Event) => event.data["event"] === "project_cancelled";
  await until(() => seen.some(isEnd) && everything.some(isEnd));
  stop.abort();
  await following;
  for (const events of [seen, everything]) {
    assert.deepEqual(created(events).map((event) => event.task_id), tasks);
  }
  const log = await client.get("/api/v1/audit/projects/{project_id}/events", { params });
  const positions = seen.flatMap((event) => event.seq ?? []);
  assert.deepEqual(positions, positions.map((_, index) => index + 1));
  assert(log.length >= positions.length);
  const nobody = "0190a0b0-0000-7000-8000-00000000000a";
  await assert.rejects(client.follow(nobody).next(), { status: 404 });
});

test("what no repetition mends is thrown", async (t) => {
  for (const status of [401, 404]) {
    const { client } = await streams(t, [`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`]);
    await assert.rejects(take(client, 1), (error) => error instanceof ProblemError && error.status === status);
  }
});

test("the pause before a connection is at least what the server says", async (t) => {
  const { client } = await streams(t, [HEAD, "retry: 700\n\n", frame(1)], [HEAD, frame(2)]);
  const began = performance.now();
  await take(client, 2);
  assert(performance.now() - began >= 700);
});

test("a server that stays away is given up, if asked", async (t) => {
  const { client } = await streams(t);
  await assert.rejects(take(client, 1, { giveUpAfterMs: 300 }), { name: "TypeError" });
});

test("a signal ends the iteration", async (t) => {
  const { client } = await streams(t, [HEAD, frame(1), 60_000]);
  const stop = new AbortController();
  const found: Event[] = [];
  for await (const event of client.follow("p", { signal: stop.signal })) {
    found.push(event);
    setTimeout(() => stop.abort(), 50);
  }
  assert.equal(found.length, 1);
});
