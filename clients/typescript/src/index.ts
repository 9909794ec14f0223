/**
 * Client of BotArmy, a control plane for teams of AI agents. `Client` calls all operations of a server,
 * `Client.follow` yields live events, `Worker` does tasks.
 */

export { Client, type Call, type ClientOptions, type Data } from "./client.js";
export { type FieldError, ProblemError } from "./errors.js";
export type { Event, FollowOptions } from "./events.js";
export {
  Ask, Cancelled, Fail, type FailOptions, type Job, type JsonObject, type Outcome, Result, jsonObject, prompt,
} from "./job.js";
export type { components, operations, paths } from "./rest/schema.js";
export type { Retries } from "./retries.js";
export { Context, type Handler, type RunOptions, Worker, type WorkerOptions } from "./worker.js";
