/** An external worker: takes tasks, keeps their leases while a function works, returns results. */

import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import type { Client } from "./client.js";
import { ProblemError, isObject, retryAfterS } from "./errors.js";
import { Ask, Cancelled, Fail, type Job, type Outcome, Result } from "./job.js";
import type { components } from "./rest/schema.js";
import { isTransient, pauseMs } from "./retries.js";

type Schemas = components["schemas"];
type Lease = Schemas["HandedOutTask"];

const LEASES = "/api/v1/worker/leases";
const MAX_POLL_S = 30;
const MAX_LEASES = 100;
const MAX_CODE = 64;
const MAX_MESSAGE = 4096;
/** Statuses of a document that does not fit; the lease is still held. */
const REFUSED = [400, 413, 422];
/** Shortest time between two heartbeats, however often there is progress. */
const MIN_INTERVAL_MS = 1000;
/** Time for the last calls when a worker stops. */
const FAREWELL_MS = 5000;

/** Function that does a task. It must not block: heartbeats run in the same thread. */
export type Handler = (job: Job, context: Context) => Outcome | Promise<Outcome>;

/** Settings of a worker. */
export interface WorkerOptions {
  /** Agent types that it serves; the first is served first. */
  readonly agents: readonly Schemas["AgentType"][];
  /** Name in the log; that of the machine if absent. */
  readonly name?: string;
  /** Number of tasks at the same time, 1 to 100; 1 if absent. */
  readonly slots?: number;
  /** Longest wait of one poll, in seconds, 0 to 30; 30 if absent. */
  readonly waitS?: number;
  /** Time that running tasks have to end when the worker is stopped, in seconds; 30 if absent. */
  readonly graceS?: number;
  /** Receives what the worker reports; standard error if absent. */
  readonly log?: (line: string) => void;
}

/** Settings of a run. */
export interface RunOptions {
  /** Number of tasks after which the run ends. */
  readonly maxTasks?: number;
  /** Whether SIGTERM and SIGINT stop the worker; they do if absent. */
  readonly handleSignals?: boolean;
}

/** The lease of a task, as its handler sees it. */
export class Context {
  readonly #end = new AbortController();
  #deadline = 0;
  #endsAt = Infinity;
  #news: Schemas["HeartbeatBody"] = {};
  #wake: () => void = () => undefined;

  /** Aborted when the result does not count any more; pass it to what the handler calls. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Whether the result does not count any more, and the handler should end. */
  get cancelled(): boolean {
    return this.signal.aborted;
  }

  /** Throws `Cancelled` if the result does not count any more. */
  throwIfCancelled(): void {
    this.signal.throwIfAborted();
  }

  /**
   * Time after which the result is not taken, by the server's clock. Heartbeats move it, until the
   * time limit of the attempt is reached.
   */
  get deadline(): Date {
    return new Date(this.#deadline);
  }

  /** Milliseconds until the deadline, whatever the clock of this machine shows. */
  get remainingMs(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  /**
   * Shows people who watch a line of text, and the progress from 0 to 100.
   *
   * @throws Cancelled if the result does not count any more.
   */
  progress(message?: string, percent?: number): void {
    this.throwIfCancelled();
    if (message?.trim()) this.#news.message = message.slice(0, MAX_MESSAGE);
    if (percent !== undefined) this.#news.progress = Math.min(Math.max(percent, 0), 100);
    this.#wake();
  }

  /** @internal Takes the new end of the lease from a response to what was sent at this time. */
  extend(expiresAt: string, response: Response, sentAt: number): void {
    this.#deadline = Date.parse(expiresAt);
    // The clocks may differ; the server's own says how long the lease lasts.
    const now = Date.parse(response.headers.get("date") ?? "");
    this.#endsAt = sentAt + this.#deadline - (Number.isNaN(now) ? Date.now() : now);
  }

  /** @internal Tells the handler that its result does not count any more. */
  end(reason: string): void {
    if (!this.cancelled) this.#end.abort(new Cancelled(reason));
  }

  /** @internal Returns the progress since the last call. */
  takeNews(): Schemas["HeartbeatBody"] {
    const news = this.#news;
    this.#news = {};
    return news;
  }

  /** @internal Waits for a time, or until there is progress. */
  async newsOr(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = withResolvers();
    this.#wake = resolve;
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", resolve, { once: true });
    await promise;
    clearTimeout(timer);
    signal.removeEventListener("abort", resolve);
    this.#wake = () => undefined;
  }
}

/** External worker for one or several agent types. */
export class Worker {
  readonly #client: Client;
  readonly #agents: readonly string[];
  readonly #name: string;
  readonly #slots: number;
  readonly #waitS: number;
  readonly #graceMs: number;
  readonly #log: (line: string) => void;
  readonly #attempts = new Set<Attempt>();
  #stop: AbortController | undefined;
  #stopBy = Infinity;
  #hurry: () => void = () => undefined;

  constructor(client: Client, options: WorkerOptions) {
    const { agents, slots = 1, waitS = MAX_POLL_S, graceS = 30 } = options;
    if (agents.length === 0) throw new RangeError('agents must name agent types, such as ["coder"]');
    if (!(slots >= 1 && slots <= MAX_LEASES)) throw new RangeError(`slots must be 1 to ${MAX_LEASES}`);
    if (!(waitS >= 0 && waitS <= MAX_POLL_S)) throw new RangeError(`waitS must be 0 to ${MAX_POLL_S}`);
    this.#client = client;
    this.#agents = agents;
    this.#name = (options.name ?? hostname()).slice(0, 128) || "node";
    this.#slots = slots;
    this.#waitS = waitS;
    this.#graceMs = graceS * 1000;
    this.#log = options.log ?? ((line) => process.stderr.write(`botarmy: ${line}\n`));
  }

  /**
   * Takes tasks and does them, until the worker is stopped or has done `maxTasks`. A second signal
   * gives running tasks back at once.
   *
   * @throws ProblemError when the server refuses the worker, such as for its key.
   */
  async run(handler: Handler, options: RunOptions = {}): Promise<void> {
    if (this.#stop !== undefined) throw new Error("the worker runs already");
    const stop = new AbortController();
    this.#stop = stop;
    this.#stopBy = Infinity;
    let signals = 0;
    const onSignal = () => this.stop((signals += 1) === 1 ? undefined : 0);
    const names = options.handleSignals === false ? [] : (["SIGTERM", "SIGINT"] as const);
    for (const name of names) process.on(name, onSignal);
    try {
      await this.#takeTasks(handler, options.maxTasks ?? Infinity, stop.signal);
    } finally {
      await this.#windDown();
      for (const name of names) process.off(name, onSignal);
      this.#stop = undefined;
    }
  }

  /**
   * Takes no more tasks; `run` ends when those that run have ended or were given back. Without a run
   * it has no effect.
   */
  stop(graceS?: number): void {
    const graceMs = graceS === undefined ? this.#graceMs : graceS * 1000;
    this.#stopBy = Math.min(this.#stopBy, performance.now() + graceMs);
    this.#stop?.abort();
    this.#hurry();
  }

  async #takeTasks(handler: Handler, maxTasks: number, stop: AbortSignal): Promise<void> {
    const stopped = () => stop.aborted;
    let begun = 0;
    let failures = 0;
    while (!stopped() && begun < maxTasks) {
      const free = Math.min(this.#slots - this.#attempts.size, maxTasks - begun);
      if (free <= 0) {
        await this.#firstEndOr(stop);
        continue;
      }
      try {
        const { leases, response, receivedAt } = await this.#poll(free, stop);
        failures = 0;
        for (const lease of leases) {
          begun += 1;
          const attempt = new Attempt(this.#client, lease, response, receivedAt, this.#log);
          this.#attempts.add(attempt);
          void attempt.serve(handler).finally(() => this.#attempts.delete(attempt));
        }
      } catch (error) {
        // A poll whose connection is closed is given nothing.
        if (stopped()) return;
        const problem = error instanceof ProblemError ? error : undefined;
        if (problem !== undefined && !isTransient(problem.status)) throw error;
        failures += 1;
        const pause = pauseMs(this.#client.retries, failures, problem?.retryAfterS);
        this.#log(`no tasks from ${this.#client.server}: ${describe(error)}; again in ${Math.ceil(pause)} ms`);
        await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
      }
    }
  }

  async #poll(most: number, stop: AbortSignal) {
    const query = { worker_id: this.#name, agents: this.#agents, wait_s: this.#waitS };
    const timeout = AbortSignal.timeout((this.#waitS + 15) * 1000);
    const sentAt = performance.now();
    const response = await this.#client.send(LEASES, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...query, max: Math.min(most, MAX_LEASES) }),
      signal: AbortSignal.any([stop, timeout]),
    });
    if (response.status !== 200 && response.status !== 204) throw await ProblemError.of(response);
    const none: Schemas["HandedOutView"] = { leases: [] };
    const { leases } = response.status === 204 ? none : ((await response.json()) as typeof none);
    // The time of sending is too early by the wait, and would shorten the lease.
    return { leases, response, receivedAt: Math.max(sentAt, performance.now() - 1000) };
  }

  async #firstEndOr(stop: AbortSignal): Promise<void> {
    const { promise, resolve } = withResolvers();
    stop.addEventListener("abort", resolve, { once: true });
    await Promise.race([promise, ...[...this.#attempts].map((one) => one.ended)]);
    stop.removeEventListener("abort", resolve);
  }

  /** Lets running attempts end, and gives back those that take too long once it is stopped. */
  async #windDown(): Promise<void> {
    while (this.#attempts.size > 0 && performance.now() < this.#stopBy) {
      const { promise, resolve } = withResolvers();
      // A second signal may shorten the time.
      this.#hurry = resolve;
      const left = Math.min(this.#stopBy - performance.now(), 2 ** 31 - 1);
      const timer = setTimeout(resolve, left);
      await Promise.race([promise, Promise.all([...this.#attempts].map((one) => one.ended))]);
      clearTimeout(timer);
    }
    this.#hurry = () => undefined;
    const left = [...this.#attempts];
    for (const attempt of left) attempt.giveBack();
    const farewell = new AbortController();
    const limit = sleep(FAREWELL_MS, undefined, { signal: farewell.signal }).catch(() => undefined);
    await Promise.race([limit, Promise.all(left.map((one) => one.ended))]);
    farewell.abort();
  }
}

/** A call about a lease: its name and its body as JSON. */
interface LeaseCall {
  readonly verb: "complete" | "ask" | "fail";
  readonly body: string;
}

/** One lease: heartbeats beside the handler, and the call with its result. */
class Attempt {
  readonly ended: Promise<void>;
  readonly #context = new Context();
  readonly #over = new AbortController();
  readonly #givenBack = withResolvers();
  readonly #finished = withResolvers();
  #delivering = false;

  constructor(
    readonly client: Client,
    readonly lease: Lease,
    response: Response,
    receivedAt: number,
    readonly log: (line: string) => void,
  ) {
    this.ended = this.#finished.promise;
    this.#context.extend(lease.expires_at, response, receivedAt);
  }

  giveBack(): void {
    if (this.#delivering) return;
    this.#context.end("the worker stops");
    this.#givenBack.resolve();
  }

  async serve(handler: Handler): Promise<void> {
    void this.#beat();
    try {
      let call = await Promise.race([this.#work(handler), this.#givenBack.promise]);
      if (call === undefined) {
        const message = "The worker was stopped before the task was done.";
        call = failure(new Fail("worker_stopped", message, { retryable: true, retryAfterS: 0 }));
      } else if (this.#context.cancelled) {
        // The handler has ended, and its result does not count.
        this.#say(describe(this.#context.signal.reason));
        return;
      }
      this.#delivering = true;
      await this.#deliver(call);
    } catch (error) {
      this.#say(`its result could not be delivered: ${describe(error)}`);
    } finally {
      this.#over.abort();
      this.#finished.resolve();
    }
  }

  /** Calls the handler. All that it throws is a failure of the attempt. */
  async #work(handler: Handler): Promise<LeaseCall> {
    try {
      return callOf(await handler(this.lease.task, this.#context));
    } catch (error) {
      if (error instanceof Fail) return failure(error);
      if (!this.#context.cancelled) {
        this.#say(`the handler failed: ${error instanceof Error ? (error.stack ?? "") : describe(error)}`);
      }
      return failure(new Fail("crashed", describe(error), { retryable: true }));
    }
  }

  /** Sends heartbeats, the first one at once; ends the context when the lease is lost. */
  async #beat(): Promise<void> {
    const [context, over] = [this.#context, this.#over.signal];
    const interval = this.lease.heartbeat_s * 1000;
    for (let failures = 0; !over.aborted; ) {
      const sentAt = performance.now();
      const body = JSON.stringify(context.takeNews());
      let pause = interval;
      try {
        const timeout = Math.max(1000, Math.min(10_000, context.remainingMs));
        const response = await this.#post("heartbeat", body, timeout);
        if (response.ok) {
          const heard = (await response.json()) as Schemas["HeardView"];
          failures = 0;
          if (heard.cancel) {
            this.#lost("the task was cancelled");
            return;
          }
          context.extend(heard.expires_at, response, sentAt);
        } else if (isTransient(response.status)) {
          failures += 1;
          pause = pauseMs(this.client.retries, failures, retryAfterS(response.headers));
          await response.body?.cancel();
        } else {
          const problem = await ProblemError.of(response);
          if (!REFUSED.includes(problem.status)) {
            this.#lost(problem.message);
            return;
          }
          this.#say(`its progress was refused: ${problem.message}`);
        }
      } catch {
        failures += 1;
        pause = pauseMs(this.client.retries, failures);
      }
      if (context.remainingMs <= 0) {
        this.#lost("the lease has expired, because the server cannot be reached");
        return;
      }
      await context.newsOr(Math.min(pause, interval, context.remainingMs), over);
      const soonest = sentAt + MIN_INTERVAL_MS - performance.now();
      if (soonest > 0) await sleep(soonest, undefined, { signal: over }).catch(() => undefined);
    }
  }

  #lost(reason: string): void {
    if (!this.#delivering) this.#context.end(reason);
  }

  /** Sends a result until the server takes or refuses it, while the lease lasts. */
  async #deliver({ verb, body }: LeaseCall): Promise<void> {
    let response = await this.#postUntilAnswered(verb, body);
    if (response !== undefined && REFUSED.includes(response.status) && verb !== "fail") {
      // The lease is still held. The next attempt finds the reasons in its instructions.
      const problem = await ProblemError.of(response);
      this.#say(`its result was refused: ${problem.message}`);
      const reasons = [problem.detail, ...problem.errors.map((error) => error.message)].join("; ");
      const refused = failure(new Fail("refused", reasons, { retryable: true }));
      response = await this.#postUntilAnswered(refused.verb, refused.body);
    }
    if (response === undefined) this.#say("the server cannot be reached with its result");
    else if (!response.ok) this.#say(`${verb}: ${(await ProblemError.of(response)).message}`);
    else await response.body?.cancel();
  }

  async #postUntilAnswered(verb: string, body: string): Promise<Response | undefined> {
    for (let failures = 1; ; failures += 1) {
      let wait: number | undefined;
      try {
        const response = await this.#post(verb, body, 30_000);
        if (!isTransient(response.status)) return response;
        wait = retryAfterS(response.headers);
        await response.body?.cancel();
      } catch (error) {
        this.#say(`${verb}: ${describe(error)}`);
      }
      const pause = pauseMs(this.client.retries, failures, wait);
      if (this.#context.remainingMs < pause) return undefined;
      await sleep(pause);
    }
  }

  #post(verb: string, body: string, timeoutMs: number): Promise<Response> {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${this.lease.token}` };
    const signal = AbortSignal.timeout(timeoutMs);
    return this.client.send(`${LEASES}/${this.lease.lease}/${verb}`, { method: "POST", headers, body, signal });
  }

  #say(line: string): void {
    this.log(`task ${this.lease.task.task.id}: ${line}`);
  }
}

/** Returns the call for what a handler returned. */
function callOf(outcome: unknown): LeaseCall {
  if (outcome instanceof Ask) return { verb: "ask", body: written(outcome.body) };
  if (outcome instanceof Result) return { verb: "complete", body: written(outcome.body) };
  if (isObject(outcome)) return { verb: "complete", body: written({ output: outcome }) };
  throw new Fail("invalid_output", `The handler returned ${typeof outcome}, not an object or a question.`);
}

function written(body: unknown): string {
  try {
    return JSON.stringify(body);
  } catch (error) {
    throw new Fail("invalid_output", `The output cannot be written as JSON: ${describe(error)}`);
  }
}

/** Returns the call for a failure, in the form that the server accepts. */
function failure(error: Fail): LeaseCall {
  const { retryable = false, retryAfterS: after } = error.options;
  const body: Schemas["FailBody"] = {
    code: error.code.replace(/\s/g, "").slice(0, MAX_CODE) || "failed",
    message: error.message.trim().slice(0, MAX_MESSAGE) || "There is no message.",
    retryable,
  };
  if (retryable && after !== undefined) {
    body.retry_after_s = Math.min(Math.max(Math.ceil(after), 0), 86_400);
  }
  return { verb: "fail", body: JSON.stringify(body) };
}

/** Returns one line about an error. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.name}: ${error.message}${cause}`;
}

function withResolvers(): { promise: Promise<undefined>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<undefined>((done) => {
    resolve = () => done(undefined);
  });
  return { promise, resolve };
}
