/**
 * `relevo queues`: a table of all queues, once or live.
 *
 * @module
 */

import type { Desk } from "../operate/operation.ts";
import type { QueueView } from "../operate/queues.ts";
import { span } from "../operate/span.ts";
import { operationOf } from "../operate/table.ts";
import { systemRuntime } from "../runtime.ts";
import { type Command, type Session, STORE } from "./command.ts";
import { printJson } from "./print.ts";
import { type Column, tableOf } from "./table.ts";

/** Milliseconds between two looks of a live table. */
const EVERY = 1_000;

const COLUMNS: readonly Column[] = [
  { title: "QUEUE" },
  { title: "WAITING", right: true },
  { title: "DELAYED", right: true },
  { title: "RESERVED", right: true },
  { title: "FAILED", right: true },
  { title: "TIMEOUT", right: true },
  { title: "OLDEST WAIT", right: true },
];

async function look({ terminal: { signal } }: Session, desk: Desk): Promise<readonly QueueView[]> {
  const found = await operationOf("queues.list").run(desk, {}, { signal });
  return (found as { readonly queues: readonly QueueView[] }).queues;
}

function table(queues: readonly QueueView[]): string {
  if (queues.length === 0) return "no queues\n";
  return tableOf(
    COLUMNS,
    queues.map(({ queue, waiting, delayed, reserved, failed, timeout, oldest }) => [
      queue,
      ...[waiting, delayed, reserved, failed, timeout].map(String),
      oldest === undefined ? "" : span(oldest),
    ]),
  );
}

/** Shows the table again and again until the signal aborts; a terminal's is written over the one before. */
async function watching(session: Session, desk: Desk): Promise<void> {
  const { terminal: { stdout, signal }, json } = session;
  const { sleep } = systemRuntime();
  while (!signal?.aborted) {
    const queues = await look(session, desk);
    if (json) printJson(stdout, queues);
    else stdout.write(`${stdout.isTTY ? "\u001b[H\u001b[J" : ""}${table(queues)}${stdout.isTTY ? "" : "\n"}`);
    await sleep(EVERY, signal).catch(() => undefined);
  }
}

/** The command. */
export const queuesCommand: Command = {
  words: "queues",
  positionals: [],
  flags: { watch: { short: "w", about: "look again every second, until it is interrupted" }, ...STORE },
  about: operationOf("queues.list").about,
  examples: ["relevo queues --url redis://127.0.0.1:6379", "relevo queues --watch"],
  async run(session) {
    const desk = await session.open();
    if (!session.given.has("watch")) {
      const queues = await look(session, desk);
      if (session.json) printJson(session.terminal.stdout, queues);
      else session.terminal.stdout.write(table(queues));
      return;
    }
    try {
      await watching(session, desk);
    } catch (error) {
      if (!session.terminal.signal?.aborted) throw error;
    }
  },
};
