/** Parser of server-sent events (HTML Living Standard, section 9.2.6). */

/** What stands between two blank lines. */
export interface SseBlock {
  /** Type of the event. */
  readonly event: string;
  /** Data; absent in a block that is no event. */
  readonly data: string | undefined;
  /** Newest id of the stream, which need not be that of this block. */
  readonly lastEventId: string;
  /** Shortest pause before the next connection, if the block says so. */
  readonly retryMs: number | undefined;
}

/** Reads a stream in the pieces in which it arrives. A decoder has removed the byte order mark. */
export class SseParser {
  #line = "";
  /** Set after a CR at the end of a piece: an LF that follows belongs to it. */
  #afterCr = false;
  #event = "";
  #data: string[] = [];
  #lastEventId = "";
  #retryMs: number | undefined;

  /** Yields the blocks that a piece completes. */
  *feed(piece: string): Generator<SseBlock, void, undefined> {
    if (piece === "") return;
    const text = this.#afterCr && piece.startsWith("\n") ? piece.slice(1) : piece;
    this.#afterCr = piece.endsWith("\r");
    const [first = "", ...rest] = text.split(/\r\n|\r|\n/);
    let line = this.#line + first;
    for (const next of rest) {
      if (line === "") yield this.#block();
      else this.#read(line);
      line = next;
    }
    this.#line = line;
  }

  #block(): SseBlock {
    const block = {
      event: this.#event || "message",
      data: this.#data.length > 0 ? this.#data.join("\n") : undefined,
      lastEventId: this.#lastEventId,
      retryMs: this.#retryMs,
    };
    this.#event = "";
    this.#data = [];
    this.#retryMs = undefined;
    return block;
  }

  #read(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id" && !value.includes("\0")) this.#lastEventId = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retryMs = Number(value);
    // A line that begins with a colon is a comment, and has no name.
  }
}
