/** Calls of operations, their errors, and their repetitions. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, ProblemError } from "../src/index.js";
import { Proxy, QUICK, Server, until } from "./server.js";

const NOBODY = "0190a0b0-0000-7000-8000-00000000000a";

async function problem(call: Promise<unknown>): Promise<ProblemError> {
  try {
    await call;
  } catch (error) {
    assert(error instanceof ProblemError, String(error));
    return error;
  }
  throw new Error("it did not fail");
}

test("a project is created, read and listed", async (t) => {
  const client = (await Server.start(t)).admin();
  const made = await client.rest.POST("/api/v1/projects", { body: { name: "Recipes" } });
  assert.equal(made.response.status, 201);
  assert(made.data);
  assert(made.response.headers.get("location")?.endsWith(made.data.id));
  const path = { project_id: made.data.id };
  const found = await client.get("/api/v1/projects/{project_id}", { params: { path } });
  assert.equal(found.name, "Recipes");
  const listed = await client.get("/api/v1/projects", { params: { query: { limit: 100 } } });
  assert.deepEqual(listed.items.map((one) => one.id), [made.data.id]);
  const statuses = await client.get("/api/v1/agents/status");
  assert.equal(statuses["coder"]?.status, "idle");
});

test("a workflow is reviewed by its person", async (t) => {
  const client = (await Server.start(t)).admin();
  const body = { name: "Recipes", description: "A site for recipes", workflow: "sdlc" };
  const project = await client.post("/api/v1/projects", { body });
  const params = { path: { project_id: project.id } };
  const gates = () => client.get("/api/v1/hitl/project/{project_id}/requests", { params });
  await until(async () => (await gates()).length > 0);
  const [gate] = await gates();
  assert(gate);
  const done = await client.post("/api/v1/hitl/{request_id}/respond", {
    params: { path: { request_id: gate.request_id } },
    body: { action: "approve", subject_digest: gate.subject.digest },
  });
  assert.equal(done.status, "approved");
});

/** Compiled, and never called. */
export async function typesFollowFromTheDocument(client: Client): Promise<void> {
  // @ts-expect-error the API does not have this path
  await client.get("/api/v1/nothing");
  // @ts-expect-error the body has no name
  await client.post("/api/v1/projects", { body: {} });
  // @ts-expect-error a body is required
  await client.post("/api/v1/projects");
  const params = { path: { project_id: NOBODY } };
  const parseAs = "arrayBuffer";
  const zip = await client.get("/api/v1/artifacts/{project_id}/download", { params, parseAs });
  zip.slice(0) satisfies ArrayBuffer;
}

test("errors have the fields of their documents", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const params = { path: { project_id: NOBODY }, header: { "X-Request-Id": "the-request-7" } };
  const missing = await problem(client.get("/api/v1/projects/{project_id}", { params }));
  assert.equal(missing.status, 404);
  assert.equal(missing.requestId, "the-request-7");
  assert.match(missing.detail, /does not exist/);
  assert.match(String(missing), /the-request-7/);
  const invalid = await problem(client.post("/api/v1/projects", { body: { name: " " } }));
  assert.equal(invalid.status, 422);
  assert.deepEqual(invalid.errors.map((error) => error.field), ["name"]);
  const stranger = new Client({ server: server.url, key: "no key" });
  assert.equal((await problem(stranger.get("/api/v1/agents/status"))).status, 401);
});

test("a call is repeated under its key, and done once", async (t) => {
  const server = await Server.start(t);
  const proxy = await Proxy.start(t, server);
  const through = server.admin(proxy.url);
  proxy.swallow = true;
  const made = await through.post("/api/v1/projects", { body: { name: "Once" } });
  assert(!proxy.swallow, "the response to the first attempt was lost");
  const listed = await server.admin().get("/api/v1/projects");
  assert.deepEqual(listed.items.map((one) => one.id), [made.id]);
});

test("a call with a key of its own is replayed", async (t) => {
  const client = (await Server.start(t)).admin();
  const params = { header: { "Idempotency-Key": "my-key-1" } };
  const first = await client.post("/api/v1/projects", { params, body: { name: "Recipes" } });
  const again = await client.rest.POST("/api/v1/projects", { params, body: { name: "Recipes" } });
  assert.equal(again.data?.id, first.id);
  assert.equal(again.response.headers.get("idempotency-replayed"), "true");
  const other = client.post("/api/v1/projects", { params, body: { name: "Other" } });
  assert.equal((await problem(other)).status, 422);
});

test("a server that comes back is waited for, and another one given up", async (t) => {
  const server = await Server.start(t);
  const proxy = await Proxy.start(t, server);
  const client = server.admin(proxy.url);
  proxy.away = true;
  await assert.rejects(client.get("/api/v1/agents/status"), { name: "TypeError" });
  const [statuses] = await Promise.all([
    client.get("/api/v1/agents/status"),
    sleep(150).then(() => (proxy.away = false)),
  ]);
  assert.equal(statuses["coder"]?.status, "idle");
});

type Scripted = [status: number, headers: Record<string, string>, body: string];

/** Starts a server that gives these responses; returns its address, and the keys it received. */
async function scripted(t: TestContext, ...responses: Scripted[]) {
  const keys: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    keys.push(request.headers["idempotency-key"]?.toString());
    const [status, headers, body] = responses.shift() ?? [500, {}, "no more"];
    request.resume().on("end", () => response.writeHead(status, headers).end(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys };
}

test("what may pass is repeated, and nothing else", async (t) => {
  const waits = { "Retry-After": "0" };
  const json = { ...waits, "Content-Type": "application/json" };
  const four = await scripted(t, [503, waits, ""], [429, waits, ""], [409, waits, ""], [201, json, "{}"]);
  const client = new Client({ server: four.server, key: "k", retries: QUICK });
  await client.post("/api/v1/projects", { body: { name: "x" } });
  assert.equal(four.keys.length, 4);
  assert.equal(new Set(four.keys).size, 1, "the key is the same");
  assert(four.keys[0]);
  // Without a key, a 503 may have done something.
  const one = await scripted(t, [503, waits, "<h1>away</h1>"]);
  const other = new Client({ server: one.server, key: "k", retries: QUICK });
  const body = { principal_id: NOBODY, name: "a key" };
  const away = await problem(other.post("/api/v1/access/keys", { body }));
  assert.deepEqual([away.status, away.retryAfterS, one.keys], [503, 0, [undefined]]);
  assert.match(away.detail, /away/);
  const late = await scripted(t, [429, { "Retry-After": "3600" }, "{}"]);
  const limited = new Client({ server: late.server, key: "k", retries: QUICK });
  const error = await problem(limited.post("/api/v1/projects", { body: { name: "x" } }));
  assert.deepEqual([error.status, error.retryAfterS], [429, 3600]);
});

test("the address and the key come from the environment", async (t) => {
  const server = await Server.start(t);
  const names = ["BOTARMY_SERVER", "BOTARMY_KEY", "BOTARMY_KEY_FILE"] as const;
  const before = names.map((name) => [name, process.env[name]] as const);
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  });
  process.env["BOTARMY_SERVER"] = `${server.url}/`;
  process.env["BOTARMY_KEY_FILE"] = server.keyFile;
  assert.equal((await new Client().get("/api/v1/agents/status"))["coder"]?.status, "idle");
  process.env["BOTARMY_KEY"] = "no key";
  assert.equal((await problem(new Client().get("/api/v1/agents/status"))).status, 401);
  assert(!JSON.stringify(new Client({ key: "secret" })).includes("secret"));
});
