/** A real server for the tests, and a proxy that breaks connections to it. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, type Server as TcpServer, type Socket, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client, type components } from "../src/index.js";

/** Short leases, so that a test does not wait long for what depends on them. */
const SETTINGS = {
  BOTARMY_AGENTS__CODER__RUNNER: "none",
  BOTARMY_WORKER__LEASE_S: "6",
  BOTARMY_WORKER__FIRST_CALL_S: "3",
  BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS: "10",
};

/** Tests do not wait for long pauses. */
export const QUICK = { attempts: 6, firstPauseMs: 50, maxPauseMs: 200 };

/** Returns the server under test. */
export function binary(): string {
  const path = process.env["BOTARMY_TEST_SERVER"];
  assert(path, "set BOTARMY_TEST_SERVER to the path of botarmy-server");
  return path;
}

/** Waits until something holds. */
export async function until(holds: () => unknown, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await holds())) {
    assert(performance.now() < end, "it did not happen in time");
    await sleep(50);
  }
}

/** A server with its own data, which can be killed and started again. */
export class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "botarmy-"));
  readonly keyFile = join(this.folder, "admin.header");
  #port = 0;
  #process: ChildProcess | undefined;

  constructor(readonly settings: Record<string, string>) {}

  static async start(test: TestContext, settings: Record<string, string> = SETTINGS): Promise<Server> {
    const server = new Server(settings);
    await server.start();
    test.after(async () => {
      await server.kill();
      rmSync(server.folder, { recursive: true });
    });
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A client of the administrator. */
  admin(url = this.url): Client {
    return new Client({ server: url, keyFile: this.keyFile, retries: QUICK });
  }

  async start(): Promise<void> {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith("BOTARMY_"));
    const log = join(this.folder, "log");
    const child = spawn(binary(), ["--data-dir", this.folder, "serve", "--port", String(this.#port)], {
      env: { ...Object.fromEntries(others), ...this.settings },
      stdio: ["ignore", "ignore", openSync(log, "w")],
    });
    this.#process = child;
    await until(() => {
      const text = readFileSync(log, "utf8");
      assert.equal(child.exitCode, null, text);
      const port = /Serving on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      this.#port = Number(port ?? this.#port);
      return port;
    });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  /** Returns a client with the key of a new worker. */
  async worker(url = this.url): Promise<Client> {
    return new Client({ server: url, key: await this.workerKey(), retries: QUICK });
  }

  /** Creates a worker, and returns its key. */
  async workerKey(): Promise<string> {
    const admin = this.admin();
    const principal = await admin.post("/api/v1/access/principals", {
      body: { name: `worker ${Date.now()}`, kind: "service", grants: [{ role: "worker", on: "all" }] },
    });
    const { key } = await admin.post("/api/v1/access/keys", {
      body: { principal_id: principal.id, name: "a key" },
    });
    return key;
  }
}

/** A proxy on a port of its own, in front of a server. */
export class Proxy {
  /** Whether to close the next connection instead of passing a response on. */
  swallow = false;
  /** Whether to close new connections at once. */
  away = false;
  readonly #open = new Set<Socket>();
  readonly #listener: TcpServer;

  private constructor(target: number) {
    this.#listener = createServer((client) => {
      if (this.away) {
        client.destroy();
        return;
      }
      const server = connect(target, "127.0.0.1");
      for (const [source, sink] of [[client, server], [server, client]] as const) {
        this.#open.add(source);
        source.on("data", (data) => {
          if (source === server && this.swallow) {
            this.swallow = false;
            source.destroy();
          } else {
            sink.write(data);
          }
        });
        source.on("error", () => undefined);
        source.on("close", () => {
          this.#open.delete(source);
          sink.destroy();
        });
      }
    });
  }

  static async start(test: TestContext, server: Server): Promise<Proxy> {
    const proxy = new Proxy(server.port);
    await new Promise<void>((resolve) => proxy.#listener.listen(0, "127.0.0.1", resolve));
    test.after(() => {
      proxy.#listener.close();
      proxy.cut();
    });
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Closes all connections. */
  cut(): void {
    for (const one of this.#open) one.destroy();
  }
}

type Task = components["schemas"]["Task"];

/** Creates a task outside of a workflow, and returns its id. */
export async function newTask(client: Client, maxAttempts = 3): Promise<string> {
  const project = await client.post("/api/v1/projects", { body: { name: "Poems" } });
  const made = await client.post("/api/v1/projects/{project_id}/tasks", {
    params: { path: { project_id: project.id } },
    body: { agent_type: "coder", instructions: "A haiku about queues", max_attempts: maxAttempts },
  });
  return made.task_id;
}

/** Returns a task. */
export function getTask(client: Client, task: string): Promise<Task> {
  return client.get("/api/v1/tasks/{task_id}", { params: { path: { task_id: task } } });
}

/** Waits until a task has a status, and returns it. */
export async function when(client: Client, task: string, status: Task["status"]): Promise<Task> {
  await until(async () => (await getTask(client, task)).status === status);
  return getTask(client, task);
}
