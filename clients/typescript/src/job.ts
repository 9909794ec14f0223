/** The task of an external worker, and what the worker makes of it. */

import { isObject } from "./errors.js";
import type { components } from "./rest/schema.js";

type Schemas = components["schemas"];

/** One attempt at a task: the document `botarmy.command/1`. */
export type Job = Schemas["Assignment"];

/** JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Output of a task, with artifacts, confidence and usage. */
export class Result {
  constructor(readonly body: Schemas["CompleteBody"]) {}
}

/** Question to a person. Ends the attempt; the next one has the answer in `resume` of its job. */
export class Ask {
  constructor(readonly body: Schemas["AskBody"]) {}
}

/** What a handler returns: an output, an output with more about it, or a question. */
export type Outcome = JsonObject | Result | Ask;

/** What is to happen after a failure. */
export interface FailOptions {
  /** Whether another attempt may succeed; not if absent. */
  readonly retryable?: boolean;
  /** Earliest time of the next attempt, in seconds from now. */
  readonly retryAfterS?: number;
}

/** Failure of an attempt, with what is to happen next. A handler throws it. */
export class Fail extends Error {
  override readonly name = "Fail";
  readonly options: FailOptions;

  /** `code` is a name for programs, without white space, at most 64 characters. */
  constructor(
    readonly code: string,
    message: string,
    options: FailOptions = {},
  ) {
    super(message);
    this.options = options;
  }
}

/** The task was cancelled, the lease is lost, or the worker stops; the result does not count. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

/** Returns all that a model needs: instructions, artifacts, answers, form of the output. */
export function prompt(job: Job): string {
  const parts = [`# What is to be done\n\n${job.task.instructions}`];
  for (const given of job.context) {
    parts.push(`# Given: ${given.name} (${given.type})\n\n${JSON.stringify(given.content)}`);
  }
  for (const answer of job.resume?.answers ?? []) {
    const content: unknown = answer.content;
    const said = typeof content === "string" ? content : content ? JSON.stringify(content) : answer.comment;
    parts.push(`# A person answered: ${answer.action}\n\n${said ?? ""}`);
  }
  const form = JSON.stringify(job.output_schema ?? { type: "object" });
  parts.push(`# Answer with one JSON object of this form (JSON Schema)\n\n${form}`);
  return parts.join("\n\n");
}

/**
 * Returns the JSON object in a model's answer, whatever surrounds it.
 *
 * @throws Fail `no_json`, retryable, if there is none.
 */
export function jsonObject(text: string): Record<string, unknown> {
  const end = text.lastIndexOf("}") + 1;
  for (let start = text.indexOf("{"); start >= 0 && start < end; start = text.indexOf("{", start + 1)) {
    try {
      const found: unknown = JSON.parse(text.slice(start, end));
      if (isObject(found)) return found;
    } catch {
      // It begins further on.
    }
  }
  const message = `The answer has no JSON object: ${JSON.stringify(text.slice(0, 200))}`;
  throw new Fail("no_json", message, { retryable: true });
}
