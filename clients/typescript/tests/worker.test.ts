/** The worker against a real server: results, questions, failures, lost leases, and stopping. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  Ask, Cancelled, Client, Fail, type Handler, type Job, Result, Worker, type WorkerOptions,
  jsonObject, prompt,
} from "../src/index.js";
import { Proxy, Server, getTask, newTask, until, when } from "./server.js";

/** Runs a worker beside a test. */
function run(t: TestContext, client: Client, handler: Handler, options: Partial<WorkerOptions> = {}): Worker {
  const worker = new Worker(client, { agents: ["coder"], name: "node", log: () => undefined, ...options });
  const running = worker.run(handler, { handleSignals: false });
  t.after(async () => {
    worker.stop(0);
    await running;
  });
  return worker;
}

/** Returns a handler that works until it is told to stop, and what it was told. */
function waiting() {
  const told: string[] = [];
  let started = 0;
  const handler: Handler = async (_job, context) => {
    started += 1;
    await sleep(60_000, undefined, { signal: context.signal }).catch(() => {
      told.push((context.signal.reason as Error).message);
    });
    return { markdown: "too late" };
  };
  return { handler, told, started: () => started };
}

test("a task is completed with all that belongs to it", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const jobs: Job[] = [];
  const task = await newTask(client);
  const worker = new Worker(await server.worker(), { agents: ["coder"], name: "node" });
  await worker.run((job, context) => {
    jobs.push(job);
    context.progress("counting syllables", 50);
    assert(context.remainingMs > 0 && context.remainingMs <= 6000);
    return new Result({
      output: { markdown: "First come" },
      artifacts: [{ artifact_type: "source_code", content: { files: [{ path: "a.txt", content: "a" }] } }],
      confidence: 0.95,
      usage: { provider: "double", model: "model-1", input_tokens: 7, output_tokens: 9, cost_micro_usd: 11 },
    });
  }, { maxTasks: 1 });
  const done = await getTask(client, task);
  assert.deepEqual([done.status, done.failures], ["completed", 0]);
  assert.equal(done.output?.["markdown"], "First come");
  assert.deepEqual([done.usage.model, done.usage.input_tokens, done.usage.cost_micro_usd], ["model-1", 7, 11]);
  const [job] = jobs;
  assert(job);
  assert.deepEqual([job.contract, job.task.id, job.task.attempt], ["botarmy.command/1", task, 1]);
  assert.match(prompt(job), /A haiku about queues/);
});

test("a question is answered by a person", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  run(t, await server.worker(), (job) => {
    if (job.resume === null) {
      return new Ask({ question: "Which language?", options: ["Rust", "Python"], session: "asked" });
    }
    assert.equal(job.resume.session, "asked");
    assert.match(prompt(job), /A person answered: amend\n\nRust/);
    return { markdown: `In ${job.resume.answers.at(-1)?.content as string}` };
  });
  const task = await when(client, await newTask(client), "waiting_for_hitl");
  const params = { path: { project_id: task.project_id } };
  const [gate] = await client.get("/api/v1/hitl/project/{project_id}/requests", { params });
  assert.deepEqual([gate?.question, gate?.options], ["Which language?", ["Rust", "Python"]]);
  await client.post("/api/v1/hitl/{request_id}/respond", {
    params: { path: { request_id: gate?.request_id ?? "" } },
    body: { action: "amend", content: "Rust" },
  });
  assert.equal((await when(client, task.task_id, "completed")).output?.["markdown"], "In Rust");
});

test("failures are tried again as their handler says", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const failures = [
    new Fail("busy now", "The model is busy.", { retryable: true, retryAfterS: 0.1 }),
    new RangeError("a mistake"),
    new Fail("no_idea", "I cannot."),
  ];
  run(t, await server.worker(), () => {
    throw failures.shift() ?? new Error("no more");
  });
  const failed = await when(client, await newTask(client, 5), "failed");
  assert.equal(failures.length, 0);
  assert.equal(failed.failures, 3);
  assert.deepEqual([failed.error_code, failed.error_message], ["no_idea", "I cannot."]);
});

test("an output that is none is a failure, and one that does not fit is reported", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const outputs: unknown[] = ["text", { a: 1n }, { a: "x".repeat(20_000_000) }, { markdown: "Shorter" }];
  run(t, await server.worker(), () => outputs.shift() as Record<string, unknown>);
  for (const code of ["invalid_output", "invalid_output"]) {
    assert.equal((await when(client, await newTask(client), "failed")).error_code, code);
  }
  const done = await when(client, await newTask(client), "completed");
  assert.deepEqual([done.failures, done.output?.["markdown"]], [1, "Shorter"]);
});

test("a cancelled task ends its handler, and its result is dropped", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const { handler, told, started } = waiting();
  run(t, await server.worker(), handler);
  const task = await newTask(client);
  await until(() => started() === 1);
  // A heartbeat at the same moment would find another reason.
  await sleep(500);
  await client.post("/api/v1/tasks/{task_id}/cancel", { params: { path: { task_id: task } } });
  await until(() => told.length === 1);
  assert.deepEqual(told, ["the task was cancelled"]);
  // The slot is free for the next one.
  await newTask(client);
  await until(() => started() === 2);
  assert.equal((await getTask(client, task)).status, "cancelled");
});

test("a worker without its server gives up when the lease is over", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const proxy = await Proxy.start(t, server);
  const { handler, told, started } = waiting();
  run(t, await server.worker(proxy.url), handler);
  const task = await newTask(client);
  await until(() => started() === 1);
  proxy.away = true;
  proxy.cut();
  await until(() => told.length === 1, 15_000);
  assert.match(told[0] ?? "", /lease has expired/);
  // It takes the same task again, once it can.
  proxy.away = false;
  await until(() => started() === 2);
  assert.equal((await getTask(client, task)).attempt, 2);
});

test("a result is delivered once, though its response is lost", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const proxy = await Proxy.start(t, server);
  const task = await newTask(client);
  const worker = new Worker(await server.worker(proxy.url), { agents: ["coder"], log: () => undefined });
  await worker.run(async (job) => {
    // The first heartbeat has been answered before.
    await sleep(700);
    proxy.swallow = true;
    return { markdown: `attempt ${job.task.attempt}` };
  }, { maxTasks: 1 });
  const done = await getTask(client, task);
  assert.deepEqual([done.status, done.output?.["markdown"], proxy.swallow], ["completed", "attempt 1", false]);
});

test("a worker survives its server being killed", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  let started = false;
  let goOn = false;
  run(t, await server.worker(), async (job) => {
    started = true;
    await until(() => goOn);
    return { markdown: `attempt ${job.task.attempt}` };
  });
  const task = await newTask(client);
  await until(() => started);
  await server.kill();
  await sleep(500);
  await server.start();
  goOn = true;
  assert.equal((await when(client, task, "completed")).output?.["markdown"], "attempt 1");
  await when(client, await newTask(client), "completed");
});

test("as many tasks run at once as there are slots", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  let running = 0;
  run(t, await server.worker(), async () => {
    running += 1;
    await until(() => running === 3);
    return { markdown: "done" };
  }, { slots: 3 });
  const tasks = [await newTask(client), await newTask(client), await newTask(client)];
  for (const task of tasks) await when(client, task, "completed");
});

test("a stopped worker lets its tasks end, and takes no more", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  let started = false;
  let goOn = false;
  const worker = new Worker(await server.worker(), { agents: ["coder"], slots: 2 });
  const ended = worker.run(async () => {
    started = true;
    await until(() => goOn);
    return { markdown: "done" };
  });
  const task = await newTask(client);
  await until(() => started);
  worker.stop();
  const other = await newTask(client);
  await sleep(300);
  goOn = true;
  await ended;
  assert.equal((await getTask(client, task)).status, "completed");
  assert.equal((await getTask(client, other)).status, "pending");
});

const PROGRAM = `
import { Client, Worker } from ${JSON.stringify(new URL("../src/index.js", import.meta.url).href)};
console.log("here");
const worker = new Worker(new Client(), { agents: ["coder"], graceS: 1 });
await worker.run(async (job, context) => {
  console.log("at work");
  await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
  return {};
});
console.log("ended");
`;

test("a terminated program gives its task back, and an idle one ends at once", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const key = await server.workerKey();
  for (const busy of [true, false]) {
    const task = busy ? await newTask(client, 1) : undefined;
    const program = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
      env: { ...process.env, BOTARMY_SERVER: server.url, BOTARMY_KEY: key },
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => program.kill("SIGKILL"));
    let said = "";
    program.stdout.on("data", (data: Buffer) => (said += data.toString()));
    await until(() => said.includes(busy ? "at work\n" : "here\n"));
    await sleep(300);
    const began = performance.now();
    program.kill("SIGTERM");
    const [code] = (await once(program, "exit")) as [number];
    assert.deepEqual([code, said.endsWith("ended\n")], [0, true], said);
    assert(performance.now() - began < 5000);
    if (task) assert.equal((await when(client, task, "failed")).error_code, "worker_stopped");
  }
});

test("a worker with a wrong key ends with the reason", async (t) => {
  const server = await Server.start(t);
  const stranger = new Client({ server: server.url, key: "no key" });
  await assert.rejects(new Worker(stranger, { agents: ["coder"] }).run(() => ({})), { status: 401 });
  assert.throws(() => new Worker(stranger, { agents: [] }), RangeError);
  assert.throws(() => new Worker(stranger, { agents: ["coder"], slots: 0 }), RangeError);
});

test("the object in a model's answer is found", () => {
  assert.deepEqual(jsonObject('Here {it} is:\n```json\n{"a": {"b": 1}}\n```'), { a: { b: 1 } });
  assert.throws(() => jsonObject("I cannot."), { code: "no_json" });
  assert(new Cancelled("x") instanceof Error);
});
