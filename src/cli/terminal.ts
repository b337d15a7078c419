/**
 * The terminal that a command talks to: never the process itself, so that the command line mounts under another
 * program's.
 *
 * @module
 */

/** Where text goes. */
export interface Output {
  /** Takes a part of a line, or several lines. */
  write(text: string): unknown;
  /** A terminal: colours, progress and a live table are shown there, and nowhere else. */
  readonly isTTY?: boolean | undefined;
}

/** Where an answer to a question comes from. */
export interface Input extends AsyncIterable<string | Uint8Array> {
  /** A terminal: nothing else is asked. */
  readonly isTTY?: boolean | undefined;
}

/** The surroundings of {@linkcode run} beside its arguments. */
export interface Terminal {
  /** Results. */
  readonly stdout: Output;
  /** Faults, progress and questions. */
  readonly stderr: Output;
  /** Answers to questions. Default: none is asked, and `--yes` is needed where something is removed. */
  readonly stdin?: Input | undefined;
  /** `RELEVO_URL`, `NO_COLOR`, and variables of the transports. Default: nothing is set. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Ends the command: a graceful stop of `work`, of other commands between two calls to the store. */
  readonly signal?: AbortSignal | undefined;
}

/** A command that could not be understood; exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Text of the store as a terminal may show it: control characters, which could move its cursor, are escaped. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** An instant as people read it, in UTC. */
export function instant(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime())
    ? String(ms)
    : date.toISOString().replace(/\.\d+Z$/, "Z").replace("T", " ");
}
