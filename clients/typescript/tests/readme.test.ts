/** The examples of the README are compiled and run word for word. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";

import ts from "typescript";

import { Server, newTask, when } from "./server.js";

const README = readFileSync("README.md", "utf8");
const LIBRARY = new URL("../src/index.js", import.meta.url).href;

/** Compiles an example, and returns the path of the program. */
function compiled(name: string): string {
  const text = new RegExp(`\`\`\`ts ${name}\n(.*?)\`\`\``, "s").exec(README)?.[1];
  assert(text, `there is no example ${name}`);
  mkdirSync("build/readme", { recursive: true });
  const source = join("build/readme", `${name}.mts`);
  writeFileSync(source, text);
  const { config } = ts.readConfigFile("tsconfig.json", (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: unknown };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, ".");
  const program = ts.createProgram([source], {
    ...options,
    paths: { botarmy: [resolve("src/index.ts")] },
    // Most programs are compiled with fewer checks than the library.
    exactOptionalPropertyTypes: false,
    noUncheckedIndexedAccess: false,
  });
  const wrong = ts.getPreEmitDiagnostics(program);
  const format = { getCanonicalFileName: (path: string) => path, getCurrentDirectory: () => ".", getNewLine: () => "\n" };
  assert.equal(ts.formatDiagnostics(wrong, format), "");
  const { outputText } = ts.transpileModule(text, { compilerOptions: options, fileName: source });
  const made = join("build/readme", `${name}.mjs`);
  writeFileSync(made, outputText.replace('"botarmy"', JSON.stringify(LIBRARY)));
  return made;
}

/** Starts an example; what it says is in the list. */
function start(t: TestContext, name: string, environment: Record<string, string>): [ChildProcess, string[]] {
  const program = spawn(process.execPath, [compiled(name)], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => program.kill("SIGKILL"));
  const said: string[] = [];
  program.stdout.on("data", (data: Buffer) => said.push(data.toString()));
  return [program, said];
}

test("the quick start follows a project to its package", async (t) => {
  // The server does all of the work.
  const server = await Server.start(t, {});
  const [program, said] = start(t, "quick", {
    BOTARMY_SERVER: server.url, BOTARMY_KEY_FILE: server.keyFile,
  });
  const [code] = (await once(program, "exit")) as [number | null];
  const lines = said.join("").trim().split("\n");
  assert.equal(code, 0, said.join(""));
  assert.match(lines[0] ?? "", /^workflow_event /);
  assert(lines.some((line) => line.startsWith("hitl_request_created")));
  assert.match(lines.at(-1) ?? "", /^artifact_created /);
});

test("the worker asks, and completes a task", async (t) => {
  const server = await Server.start(t);
  const client = server.admin();
  const [program] = start(t, "worker", { BOTARMY_SERVER: server.url, BOTARMY_KEY: await server.workerKey() });
  const task = await when(client, await newTask(client), "waiting_for_hitl");
  const params = { path: { project_id: task.project_id } };
  const [gate] = await client.get("/api/v1/hitl/project/{project_id}/requests", { params });
  await client.post("/api/v1/hitl/{request_id}/respond", {
    params: { path: { request_id: gate?.request_id ?? "" } },
    body: { action: "amend", content: "Rust" },
  });
  const done = await when(client, task.task_id, "completed");
  assert.equal(done.output?.["markdown"], "A haiku about queues, in Rust");
  program.kill("SIGTERM");
  assert.deepEqual(await once(program, "exit"), [0, null]);
});
