/**
 * The question before something is removed, and the progress of what takes long.
 *
 * @module
 */

import type { Bounds, Desk, Operation } from "../operate/operation.ts";
import type { Session } from "./command.ts";
import { countOf, printPreview } from "./print.ts";
import { type Terminal, UsageError } from "./terminal.ts";

/** Milliseconds between two lines of progress at least. */
const PACE = 200;

/**
 * Does what a preview shows: after a question, or `--yes`, where something is removed. Undefined where there was nothing
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
  const bounds = boundsOf(terminal, desk);
  const preview = await operation.preview?.(desk, input, { signal: terminal.signal });
  if (preview === undefined || preview.count === 0) return undefined;
  if (verb === "remove" && !given.has("yes")) {
    if (terminal.stdin?.isTTY !== true || json) {
      throw new UsageError(
        `${
          countOf(preview.count, preview.atLeast)
        } would be removed: say --yes, as there is no terminal to ask`,
      );
    }
    printPreview(terminal.stderr, "to be removed:", preview);
    terminal.stderr.write("Remove them for good? [y/N] ");
    if (!/^y(es)?$/i.test(await answerFrom(terminal))) {
      terminal.stderr.write("Nothing was removed.\n");
      return undefined;
    }
  }
  try {
    return await operation.run(desk, { ...input, token: preview.token }, bounds);
  } finally {
    if (terminal.stderr.isTTY) terminal.stderr.write("\r\u001b[K");
  }
}

function boundsOf({ stderr, signal }: Terminal, { now }: Desk): Bounds {
  let last = now();
  const progress = (done: number): void => {
    if (now() - last < PACE) return;
    last = now();
    stderr.write(`\r\u001b[K${countOf(done)} ...`);
  };
  return { signal, ...(stderr.isTTY ? { progress } : {}) };
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
