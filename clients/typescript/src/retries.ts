/** The rule by which a request is sent again, and the pauses before it is. */

import { setTimeout as sleep } from "node:timers/promises";

import { retryAfterS } from "./errors.js";

/** Limits of the attempts at one request, and of the pauses between them. */
export interface Retries {
  /** Number of attempts, the first one included; 1 sends nothing again. */
  readonly attempts: number;
  /** Longest pause before the second attempt, in milliseconds. It doubles with each attempt. */
  readonly firstPauseMs: number;
  /** Longest pause before an attempt, in milliseconds. */
  readonly maxPauseMs: number;
  /** Longest `Retry-After` that is waited for, in seconds; after a longer one the error counts. */
  readonly maxRetryAfterS: number;
}

export const DEFAULT_RETRIES: Retries = {
  attempts: 5,
  firstPauseMs: 500,
  maxPauseMs: 8000,
  maxRetryAfterS: 60,
};

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** Causes with which the server did not begin with the request, whatever its method. */
const NOT_BEGUN = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** Returns the pause after this number of failures, at random in its upper half. */
export function pauseMs(retries: Retries, failures: number, atLeastS = 0): number {
  const longest = Math.min(retries.maxPauseMs, retries.firstPauseMs * 2 ** (failures - 1));
  return Math.max(atLeastS * 1000, longest * (0.5 + Math.random() / 2));
}

/** Returns whether the same call may succeed later. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Sends a request, and again where that has no second effect. */
export async function sendWithRetries(
  request: Request,
  retries: Retries,
  timeoutMs: number,
): Promise<Response> {
  for (let failures = 1; ; failures += 1) {
    let pause: number | undefined;
    try {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]);
      const response = await fetch(request.clone(), { signal });
      pause = afterResponse(request, response, retries, failures);
      if (pause === undefined) return response;
      await response.body?.cancel();
    } catch (error) {
      const mayRepeat = isRepeatable(request) || NOT_BEGUN.has(causeOf(error));
      if (request.signal.aborted || !mayRepeat || failures >= retries.attempts) throw error;
      pause = pauseMs(retries, failures);
    }
    await sleep(pause, undefined, { signal: request.signal });
  }
}

/** Returns the pause before the next attempt; `undefined` if the response counts. */
function afterResponse(
  request: Request,
  response: Response,
  retries: Retries,
  failures: number,
): number | undefined {
  const wait = retryAfterS(response.headers);
  // A 409 with a time is about the first request under the same key, which is in progress.
  const inProgress = response.status === 409 && wait !== undefined;
  const away = [502, 503, 504].includes(response.status) && isRepeatable(request);
  if (!inProgress && !away && response.status !== 429) return undefined;
  if (failures >= retries.attempts || (wait ?? 0) > retries.maxRetryAfterS) return undefined;
  return pauseMs(retries, failures, wait);
}

function isRepeatable(request: Request): boolean {
  return SAFE.has(request.method) || request.headers.has("idempotency-key");
}

function causeOf(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}
