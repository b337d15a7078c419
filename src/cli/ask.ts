/**
 * The question before something is removed, and the progress of long work.
 *
 * @module
 */

import { QUEUE } from "../defaults.ts";
import type { Bounds, Desk, Operation } from "../operate/operation.ts";
import { systemRuntime } from "../runtime.ts";
import type { Session } from "./command.ts";
import { countOf, printPreview } from "./print.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** Milliseconds between two lines of progress at least. */
const PACE = 200;

/**
 * Carries out a preview: after a question, or `--yes`, where something is removed. Undefined where there was nothing
 * to do, or the answer was no.
 *
 * @throws {UsageError} where a question would be needed and nothing can answer it.
 */
export async function afterPreview(
  { terminal, given, json }: Session,
  desk: Desk,
  operation: Operation,
  input: object,
  verb: "remove" | "reload",
): Promise<unknown> {
  const progress = progressOf(terminal);
  const bounds: Bounds = { signal: terminal.signal, progress: progress.tell };
  const preview = await operation.preview?.(desk, input, bounds).finally(progress.clear);
  if (preview === undefined || preview.count === 0) {
    tellQueue({ terminal, given, json });
    return undefined;
  }
  if (verb === "remove" && !given.has("yes")) {
    const what = countOf(preview.count, preview.atLeast);
    const show = (): void => printPreview(terminal.stderr, "to be removed:", preview);
    if (!await mayRemove({ terminal, json }, what, show)) return undefined;
  }
  try {
    return await operation.run(desk, { ...input, token: preview.token }, bounds);
  } finally {
    progress.clear();
  }
}

/** After a command that found nothing and named no queue: names the one that was asked, as the jobs may be in another. */
export function tellQueue({ terminal, given, json }: Pick<Session, "terminal" | "given" | "json">): void {
  if (json || given.text("queue") !== undefined) return;
  terminal.stderr.write(`Only queue '${QUEUE}' was asked: --queue names another.\n`);
}

/**
 * Whether something that `show` prints may be removed: asks at the terminal.
 *
 * @throws {UsageError} where nothing can answer.
 */
export async function mayRemove(
  { terminal, json }: Pick<Session, "terminal" | "json">,
  what: string,
  show: () => void,
): Promise<boolean> {
  if (terminal.stdin?.isTTY !== true || json) {
    throw new UsageError(`${what} would be removed: say --yes, as there is no terminal to ask`);
  }
  show();
  terminal.stderr.write("Remove for good? [y/N] ");
  if (/^y(es)?$/i.test(await answerFrom(terminal))) return true;
  terminal.stderr.write("Nothing was removed.\n");
  return false;
}

/** The line that says how far a long command is, on a terminal; nothing elsewhere. */
export interface Progress {
  /** So many jobs were reached. */
  readonly tell: (done: number) => void;
  /** Takes the line away. */
  readonly clear: () => void;
}

/** Makes one that shows nothing yet. */
export function progressOf({ stderr }: Terminal): Progress {
  const { monotonic } = systemRuntime();
  let last = monotonic();
  let shown = false;
  return {
    tell(done) {
      if (stderr.isTTY !== true || monotonic() - last < PACE) return;
      last = monotonic();
      shown = true;
      stderr.write(`\r\u001b[K${countOf(done)} ...`);
    },
    clear() {
      if (shown) stderr.write("\r\u001b[K");
      shown = false;
    },
  };
}

async function answerFrom({ stdin }: Terminal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stdin ?? []) {
    text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return (text.split("\n")[0] ?? "").trim();
}
