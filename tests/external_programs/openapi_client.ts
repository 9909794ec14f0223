// Drives a project with the types that openapi-typescript generated as api.d.ts beside this file,
// against the server at the address in the arguments: node openapi_client.js BASE

import type { components, operations, paths } from "./api";

type Schemas = components["schemas"];
type Json<O extends keyof operations, S extends keyof operations[O]["responses"]> =
  operations[O]["responses"][S] extends { content: { "application/json": infer B } } ? B : never;
type Body<O extends keyof operations> =
  operations[O] extends { requestBody: { content: { "application/json": infer B } } } ? B : never;

declare const process: { argv: string[]; env: Record<string, string | undefined> };
const base = process.argv[2];
const key = process.env["BOTARMY_KEY"];

function path<P extends keyof paths>(template: P, values: Record<string, string> = {}): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => values[name]);
}

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (key !== undefined) headers["Authorization"] = `Bearer ${key}`;
  const init: RequestInit = { method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  return fetch(base + path, init);
}

async function call<T>(method: string, path: string, status: number, body?: unknown): Promise<T> {
  const response = await send(method, path, body);
  const text = await response.text();
  if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

// Returns a list that is an array, from page to page.
async function list<T>(path: string): Promise<T[]> {
  const items: T[] = [];
  let next: string | undefined = path;
  while (next !== undefined) {
    const response: Response = await send("GET", next);
    check(response.status === 200, `${next}: ${response.status}`);
    items.push(...(JSON.parse(await response.text()) as T[]));
    next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get("Link") ?? "")?.[1];
  }
  return items;
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

async function main(): Promise<void> {
  const wanted: Body<"create_project"> = {
    name: "Recipes", description: "A recipe-sharing site", workflow: "sdlc",
  };
  const project = await call<Json<"create_project", 201>>(
    "POST", path("/api/v1/projects"), 201, wanted);
  const id = { project_id: project.id };
  const actions: Schemas["HitlAction"][] = [];
  let found: Json<"get_project", 200>;
  do {
    found = await call("GET", path("/api/v1/projects/{project_id}", id), 200);
    const list = path("/api/v1/hitl/project/{project_id}/requests", id) + "?status_filter=pending";
    for (const gate of await call<Json<"list_project_requests", 200>>("GET", list, 200)) {
      if (actions.length === 1) {
        const items = [{ request_id: gate.request_id, subject_digest: gate.subject.digest }];
        const all: Body<"respond_to_requests"> = { action: "approve", items };
        const done = await call<Json<"respond_to_requests", 200>>(
          "POST", path("/api/v1/hitl/bulk/respond"), 200, all);
        check(done.succeeded === 1, "the bulk answer was refused");
        actions.push("approve");
        continue;
      }
      const answer: Body<"respond_to_request"> = actions.length
        ? { action: "approve", subject_digest: gate.subject.digest }
        : { action: "amend", content: "Leave the comments out." };
      const request = { request_id: gate.request_id };
      const review = await call<Json<"get_request_artifacts", 200>>(
        "GET", path("/api/v1/hitl/{request_id}/context", request), 200);
      check(review.subject_digest === gate.subject.digest, "another subject");
      const done = await call<Json<"respond_to_request", 200>>(
        "POST", path("/api/v1/hitl/{request_id}/respond", request), 200, answer);
      actions.push(done.action);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (found.status === "active" || found.status === "paused");
  check(found.status === "completed", `it is ${found.status}`);
  check(actions[0] === "amend" && actions.includes("approve"), String(actions));

  const artifacts = await call<Json<"list_artifacts", 200>>(
    "GET", path("/api/v1/context/project/{project_id}", id) + "?content=true", 200);
  check(artifacts.items.every((one) => one.content !== null), "no content");
  const zip = await send("GET", path("/api/v1/artifacts/{project_id}/download", id));
  const bytes = new Uint8Array(await zip.arrayBuffer());
  check(zip.status === 200 && bytes[0] === 0x50 && bytes[1] === 0x4b, "no ZIP");
  const verified = await call<Json<"verify_project_log", 200>>(
    "GET", path("/api/v1/audit/projects/{project_id}/verify", id), 200);
  const events = await list<Json<"search_project_events", 200>[number]>(
    path("/api/v1/audit/projects/{project_id}/events", id) + "?limit=1000");
  check(verified.valid && verified.entries === events.length, "the log is not whole");
  const missing = { project_id: "0190a0b0-0000-7000-8000-00000000000a" };
  const problem = await call<Schemas["Problem"]>(
    "GET", path("/api/v1/projects/{project_id}", missing), 404);
  check(problem.status === 404 && problem.detail.length > 0, "no problem document");
  console.log(`done: ${actions.length} gates, ${bytes.length} bytes, ${events.length} entries`);
}

main().catch((error) => { throw error; });
