/** Errors of the server, with the fields of their problem documents (RFC 9457). */

const CODE = "urn:botarmy:problem:";
const MAX_BODY = 200;

/** Field of a request that is not acceptable. */
export interface FieldError {
  /** Path of the field, with dots and brackets, or a JSON Pointer. */
  readonly field: string;
  /** Requirement that the value does not meet. */
  readonly message: string;
}

/** Response of the server that reports an error. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  /** HTTP status. */
  readonly status: number;
  /** Name of this kind of problem, for people. */
  readonly title: string;
  /** Sentence that a person can act on. */
  readonly detail: string;
  /** Name of this kind of problem, for programs, such as `lease_lost`; most have none. */
  readonly code: string | undefined;
  /** Fields of the request that are not acceptable. */
  readonly errors: readonly FieldError[];
  /** Id of the request, under which the server's log has more. */
  readonly requestId: string | undefined;
  /** Seconds after which the server suggests another attempt. */
  readonly retryAfterS: number | undefined;

  constructor(response: Response, text: string) {
    const problem = documentOf(text);
    const title = string(problem["title"]) ?? (response.statusText || "Error");
    const detail = string(problem["detail"]) ?? text.slice(0, MAX_BODY).trim();
    const requestId = response.headers.get("x-request-id") ?? undefined;
    const request = requestId === undefined ? "" : ` (request ${requestId})`;
    super(`${response.status} ${detail || title}${request}`);
    this.status = response.status;
    this.title = title;
    this.detail = detail;
    const kind = string(problem["type"]) ?? "";
    this.code = kind.startsWith(CODE) ? kind.slice(CODE.length) : undefined;
    this.errors = fields(problem["errors"]);
    this.requestId = requestId;
    this.retryAfterS = retryAfterS(response.headers);
  }

  /** Reads a response; its body must not have been read. */
  static async of(response: Response): Promise<ProblemError> {
    return new ProblemError(response, await response.text());
  }
}

/** Returns the seconds of `Retry-After`. The server does not send dates. */
export function retryAfterS(headers: Headers): number | undefined {
  const value = headers.get("retry-after")?.trim() ?? "";
  return /^\d+$/.test(value) ? Number(value) : undefined;
}

function documentOf(text: string): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(text);
    return isObject(document) ? document : {};
  } catch {
    // A proxy answered.
    return {};
  }
}

function fields(value: unknown): FieldError[] {
  const all: unknown[] = Array.isArray(value) ? value : [];
  return all.filter(isObject).map((one) => ({
    field: string(one["field"]) ?? "",
    message: string(one["message"]) ?? "",
  }));
}

function string(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Returns whether a value is an object with keys. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
