/** The connection to a server: address, key, time limits and retries of all calls. */

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

import createClient, {
  type Client as RestClient,
  type FetchResponse,
  type MaybeOptionalInit,
} from "openapi-fetch";
import type { HttpMethod, MediaType, PathsWithMethod, RequiredKeysOf } from "openapi-typescript-helpers";

import { ProblemError } from "./errors.js";
import { type Event, type FollowOptions, follow } from "./events.js";
import { KEYED } from "./rest/keyed.js";
import type { paths } from "./rest/schema.js";
import { DEFAULT_RETRIES, type Retries, sendWithRetries } from "./retries.js";

const DEFAULT_SERVER = "http://127.0.0.1:8080";
const USER_AGENT = "botarmy-typescript/0.1.0";

/** Settings of a client. */
export interface ClientOptions {
  /** Address; the variable `BOTARMY_SERVER` if absent, or else `http://127.0.0.1:8080`. */
  readonly server?: string;
  /** Key; the variable `BOTARMY_KEY` if absent, or else the file. An open server needs none. */
  readonly key?: string;
  /** File with the key; the variable `BOTARMY_KEY_FILE` if absent. */
  readonly keyFile?: string;
  /** Longest time of one attempt at a call, with its response, in milliseconds; 60,000 if absent. */
  readonly timeoutMs?: number;
  /** Attempts at each call that may be repeated. */
  readonly retries?: Partial<Retries>;
  /** Headers of every call. */
  readonly headers?: Readonly<Record<string, string>>;
}

type DataOf<Response> = Response extends { data: infer Body } ? Body : never;

/** Body of the successful response to a call with these options. */
export type Data<Path extends keyof paths, Method extends keyof paths[Path], Init> = DataOf<
  FetchResponse<paths[Path][Method] & Record<string | number, unknown>, Init, MediaType>
>;

/** Options of a call, which may be absent if the operation needs none. */
export type Options<Init> = RequiredKeysOf<Init> extends never ? [options?: Init] : [options: Init];

/** Function that calls the operations of one method. */
export type Call<Method extends HttpMethod> = <
  Path extends PathsWithMethod<paths, Method>,
  Init extends MaybeOptionalInit<paths[Path], Method>,
>(
  path: Path,
  ...options: Options<Init>
) => Promise<Data<Path, Method, Init>>;

/**
 * Connection to a server. Its calls are typed by the server's OpenAPI document, return the body of the
 * response, and throw a `ProblemError` for one that reports an error.
 */
export class Client {
  /** Address of the server, without a slash at its end. */
  readonly server: string;
  /** Attempts at each call that may be repeated. */
  readonly retries: Retries;
  /** The same calls with the response beside its body, for its status and headers. */
  readonly rest: RestClient<paths>;
  readonly #headers: Record<string, string>;

  readonly get: Call<"get">;
  readonly post: Call<"post">;
  readonly put: Call<"put">;
  readonly patch: Call<"patch">;
  readonly delete: Call<"delete">;

  constructor(options: ClientOptions = {}) {
    const server = options.server ?? (process.env["BOTARMY_SERVER"] || DEFAULT_SERVER);
    this.server = server.replace(/\/+$/, "");
    this.retries = { ...DEFAULT_RETRIES, ...options.retries };
    const key = findKey(options);
    this.#headers = { "User-Agent": USER_AGENT };
    if (key !== undefined) this.#headers["Authorization"] = `Bearer ${key}`;
    Object.assign(this.#headers, options.headers);
    const timeoutMs = options.timeoutMs ?? 60_000;
    this.rest = createClient<paths>({
      baseUrl: this.server,
      headers: this.#headers,
      fetch: async (request) => {
        const response = await sendWithRetries(request, this.retries, timeoutMs);
        if (response.status >= 400) throw await ProblemError.of(response);
        return response;
      },
    });
    this.rest.use({
      onRequest: ({ request, schemaPath }) => {
        const takesKey = KEYED.has(`${request.method} ${schemaPath}`);
        if (takesKey && !request.headers.has("idempotency-key")) {
          request.headers.set("Idempotency-Key", randomUUID());
        }
      },
    });
    // The types of an operation follow from its path, which is a variable here.
    const call = (method: HttpMethod) =>
      (async (path: never, init: never) =>
        (await this.rest.request(method as never, path, init)).data) as unknown;
    this.get = call("get") as Call<"get">;
    this.post = call("post") as Call<"post">;
    this.put = call("put") as Call<"put">;
    this.patch = call("patch") as Call<"patch">;
    this.delete = call("delete") as Call<"delete">;
  }

  /**
   * Yields the events of a project, or with `all` those of everything that the caller sees. Connects
   * again by itself, and continues where it was.
   */
  follow(projectId = "all", options: FollowOptions = {}): AsyncGenerator<Event, void, undefined> {
    return follow(this, projectId, options);
  }

  /** Sends one request without a retry, and returns whatever the response is. */
  send(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(this.#headers);
    new Headers(init.headers).forEach((value, name) => {
      headers.set(name, value);
    });
    return fetch(this.server + path, { ...init, headers });
  }
}

/** Returns the key of a program: that of its options, or else of the environment. */
function findKey(options: ClientOptions): string | undefined {
  let { key, keyFile } = options;
  if (key === undefined && keyFile === undefined) {
    key = process.env["BOTARMY_KEY"];
    keyFile = process.env["BOTARMY_KEY_FILE"];
  }
  if (key) return key.trim();
  if (!keyFile) return undefined;
  // The server writes its first key as a header, too.
  return readFileSync(keyFile, "utf8").trim().replace(/^Authorization: Bearer /, "");
}
