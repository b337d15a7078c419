/**
 * `relevo dispatch` and `relevo work`: commands that need a module with the definitions of jobs and their handlers.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import type { Relay } from "../relay/relay.ts";
import { READS_NOTHING } from "../events/reads_nothing.ts";
import { systemRuntime } from "../runtime.ts";
import type { Command, Session } from "./command.ts";
import { withRelay } from "./module.ts";
import { printJson } from "./print.ts";
import { plain, UsageError } from "./terminal.ts";

const JSON_FLAG = { json: { about: "one JSON object a line" } };
/** Milliseconds between two lines of progress. */
const PACE = 1_000;

function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would repeat a part of the payload.
    throw new UsageError("<json> must be JSON, as in '{\"userId\":42}'");
  }
}

async function dispatching({ terminal: { stdout, signal }, given, json }: Session): Promise<void> {
  const [path = "", name = "", text = ""] = given.positionals;
  const payload = payloadOf(text);
  const [id, delay] = [given.text("id"), given.number("delay")];
  const options = { ...(id === undefined ? {} : { id }), ...(delay === undefined ? {} : { delay }), signal };
  const dispatched = await withRelay(path, (relay) => relay.dispatch(name, payload, options));
  if (json) printJson(stdout, [dispatched]);
  else stdout.write(`${dispatched.status} ${plain(dispatched.id)}\n`);
}

/** The counts of a worker so far. */
type Tally = Record<"completed" | "retrying" | "failed", number>;

/** Counts events of a relay, and tells each failure. */
function follow(relay: Relay<Jobs>, { terminal: { stdout }, json }: Session): Tally {
  const tally: Tally = { completed: 0, retrying: 0, failed: 0 };
  relay.events.addEventListener("completed", () => void tally.completed++);
  for (const type of ["retrying", "failed"] as const) {
    relay.events.addEventListener(type, ({ detail: { job, error, attempt } }) => {
      tally[type]++;
      const { id, name, queue } = job;
      if (json) return printJson(stdout, [{ event: type, id, name, queue, attempt, error: error.message }]);
      stdout.write(
        `${type} ${plain(name)} ${plain(id)} in ${plain(queue)}, run ${attempt}: ${plain(error.message)}\n`,
      );
    });
  }
  return tally;
}

function lineOf({ completed, retrying, failed }: Tally): string {
  return `${completed} completed, ${retrying} to be retried, ${failed} dead`;
}

function working(session: Session): Promise<void> {
  const { given } = session;
  const concurrency = given.number("concurrency");
  return withRelay(given.positionals[0] ?? "", (relay) => workOn(relay, concurrency, session));
}

async function workOn(relay: Relay<Jobs>, concurrency: number | undefined, session: Session): Promise<void> {
  const { terminal: { stdout, stderr, signal }, given, json } = session;
  const tally = follow(relay, session);
  const over = new AbortController();
  const progress = stderr.isTTY && !json ? tellProgress(session, tally, over.signal) : Promise.resolve();
  const worker = relay.worker(concurrency === undefined ? {} : { concurrency });
  const stop = (): void => {
    stderr.write("stopping: running jobs may finish\n");
    worker.stop().catch(() => undefined);
  };
  signal?.addEventListener("abort", stop, { once: true });
  let isIdle = false;
  relay.events.addEventListener("error", ({ detail: { error } }) => {
    // By its text, as the module's relay may be of another copy of this package.
    if (error.message !== READS_NOTHING) return;
    isIdle = true;
    worker.stop().catch(() => undefined);
  });
  try {
    if (!signal?.aborted) await worker.run();
  } finally {
    signal?.removeEventListener("abort", stop);
    over.abort();
    await progress;
  }
  if (isIdle) {
    throw new UsageError(`${JSON.stringify(given.positionals[0])} registers no handler with its relay`);
  }
  if (json) printJson(stdout, [tally]);
  else stdout.write(`${lineOf(tally)}\n`);
}

async function tellProgress(
  { terminal: { stderr } }: Session,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const { sleep } = systemRuntime();
  while (!signal.aborted) {
    stderr.write(`\r\u001b[K${lineOf(tally)}`);
    await sleep(PACE, signal).catch(() => undefined);
  }
  stderr.write("\r\u001b[K");
}

/** The commands. */
export const moduleCommands: readonly Command[] = [
  {
    words: "dispatch",
    positionals: ["module", "name", "json"],
    flags: {
      id: { value: "ID", about: "an id of your own; default: a generated one" },
      delay: { value: "MS", about: "milliseconds before it may run; default: 0" },
      ...JSON_FLAG,
    },
    about: "Dispatches one job of a module that exports a relay.",
    examples: [`relevo dispatch ./jobs.js email.welcome '{"userId":42}'`],
    run: dispatching,
  },
  {
    words: "work",
    positionals: ["module"],
    flags: {
      concurrency: { value: "N", about: "jobs that run at once; default: 10" },
      ...JSON_FLAG,
    },
    about:
      "Runs a worker over a module that exports a relay and registers its handlers; an interrupt stops it gracefully.",
    examples: ["relevo work ./worker.js", "relevo work ./worker.js --concurrency 50"],
    run: working,
  },
];
