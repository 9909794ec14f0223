/** The live events of a server as an iterator that survives lost connections. */

import { setTimeout as sleep } from "node:timers/promises";

import type { Client } from "./client.js";
import { ProblemError, isObject } from "./errors.js";
import { isTransient, pauseMs } from "./retries.js";
import { SseParser, type SseBlock } from "./sse.js";

/** Number of events among which one that is repeated is recognised. */
const RECENT = 10_000;

/** Something that happened. */
export interface Event {
  /** Type, such as `task_completed`; `gap` says that something could not be delivered. */
  readonly event_type: string;
  /** Payload, by type. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Project, if it concerns one. */
  readonly project_id: string | null;
  /** Task, if it concerns one. */
  readonly task_id: string | null;
  /** Agent type, if it concerns one. */
  readonly agent_type: string | null;
  /** Time at which it happened, RFC 3339. */
  readonly timestamp: string;
  /** Position in the log of the project, or without one in the system log. */
  readonly seq?: number;
  /** Id of the log entry, if there is one. */
  readonly id?: string;
  /** Position in the stream, to continue from: `lastEventId` of `follow`. */
  readonly position: string | undefined;
}

/** Settings of `follow`. */
export interface FollowOptions {
  /** `position` of the event after which to begin; with those that happen from now on if absent. */
  readonly lastEventId?: string | undefined;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
  /** Time without a byte after which a connection counts as lost; 40,000 if absent. */
  readonly silenceMs?: number;
  /** Time without a connection after which the last error is thrown; never if absent. */
  readonly giveUpAfterMs?: number;
}

/** The part of following that needs no connection. */
class Stream {
  position: string | undefined;
  failures = 0;
  lastContact = performance.now();
  minPauseS = 0;
  /** Ids of the newest events, the oldest first. */
  readonly #recent = new Set<string>();

  constructor(position: string | undefined) {
    this.position = position;
  }

  /** Returns the event, or `undefined` for one that was delivered before or is none. */
  take(block: SseBlock): Event | undefined {
    this.failures = 0;
    if (block.retryMs !== undefined) this.minPauseS = block.retryMs / 1000;
    // The first block has a position and no data, and heartbeats have a newer one.
    this.position = block.lastEventId || this.position;
    if (block.data === undefined) return undefined;
    const frame: unknown = JSON.parse(block.data);
    if (!isObject(frame)) return undefined;
    const event = {
      event_type: block.event,
      project_id: null,
      task_id: null,
      agent_type: null,
      timestamp: "",
      ...frame,
      data: isObject(frame["data"]) ? frame["data"] : {},
      position: this.position,
    } as Event;
    if (event.id !== undefined) {
      // The server may repeat events of many projects after a lost connection.
      if (this.#recent.has(event.id)) return undefined;
      this.#recent.add(event.id);
      const [oldest] = this.#recent;
      if (this.#recent.size > RECENT && oldest !== undefined) this.#recent.delete(oldest);
    }
    return event;
  }
}

/** Yields the events of a project, or of all; see `Client.follow`. */
export async function* follow(
  client: Client,
  projectId: string,
  options: FollowOptions,
): AsyncGenerator<Event, void, undefined> {
  const stream = new Stream(options.lastEventId);
  const silenceMs = options.silenceMs ?? 40_000;
  const stopped = () => options.signal?.aborted ?? false;
  while (!stopped()) {
    let reason: unknown = new Error("the server ended the stream");
    const connection = new AbortController();
    const stop = () => connection.abort();
    options.signal?.addEventListener("abort", stop);
    try {
      for await (const block of connect(client, projectId, stream, connection, silenceMs)) {
        const event = stream.take(block);
        if (event !== undefined) yield event;
        if (stopped()) return;
      }
    } catch (error) {
      reason = error;
    } finally {
      options.signal?.removeEventListener("abort", stop);
      connection.abort();
    }
    if (stopped()) return;
    await pause(client, stream, reason, options);
  }
}

/** Waits before the next connection, or throws the error if it is final. */
async function pause(client: Client, stream: Stream, reason: unknown, options: FollowOptions): Promise<void> {
  const problem = reason instanceof ProblemError ? reason : undefined;
  const silentMs = performance.now() - stream.lastContact;
  const givesUp = silentMs > (options.giveUpAfterMs ?? Infinity);
  if (givesUp || (problem !== undefined && !isTransient(problem.status))) throw reason;
  stream.failures += 1;
  const atLeastS = Math.max(problem?.retryAfterS ?? 0, stream.minPauseS);
  const wait = pauseMs(client.retries, stream.failures, atLeastS);
  // An aborted signal ends the iteration, not with an error.
  await sleep(wait, undefined, options.signal && { signal: options.signal }).catch(() => undefined);
}

/** Yields the blocks of one connection. */
async function* connect(
  client: Client,
  projectId: string,
  stream: Stream,
  connection: AbortController,
  silenceMs: number,
): AsyncGenerator<SseBlock, void, undefined> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (stream.position !== undefined) headers["Last-Event-ID"] = stream.position;
  const lost = () => connection.abort(new Error("the event stream is silent"));
  const silence = setTimeout(lost, silenceMs);
  try {
    const path = `/api/v1/events/stream?project_id=${encodeURIComponent(projectId)}`;
    const response = await client.send(path, { headers, signal: connection.signal });
    if (response.status !== 200) throw await ProblemError.of(response);
    const parser = new SseParser();
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      // Comments are heartbeats, and any byte is a sign of life.
      silence.refresh();
      stream.lastContact = performance.now();
      yield* parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
    }
  } finally {
    clearTimeout(silence);
  }
}
