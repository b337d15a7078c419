/**
 * `relevo jobs validate`: today's definitions tried on what is stored, before they are deployed.
 *
 * @module
 */

import { InvalidPayloadError } from "../errors.ts";
import { type Channel, CHANNELS } from "../jobs/job.ts";
import type { Jobs } from "../jobs/definitions.ts";
import type { Relay } from "../relay/relay.ts";
import type { PayloadFault } from "../payload/stored_payload.ts";
import { progressOf } from "./ask.ts";
import { type Command, QUEUE, type Session } from "./command.ts";
import { withRelay } from "./module.ts";
import { countOf, printJson } from "./print.ts";
import { plain, UsageError } from "./terminal.ts";

/** Jobs that are tried at a time; their payloads are whole. */
const PAGE = 100;

/** What was found in one queue. */
interface Found {
  readonly queue: string;
  checked: number;
  readonly faults: (PayloadFault & { readonly channel: Channel })[];
}

function channelsOf({ given }: Session): readonly Channel[] {
  const text = given.text("channels");
  if (text === undefined) return CHANNELS;
  return text.split(",").map((each) => {
    const channel = CHANNELS.find((one) => one === each.trim());
    if (channel !== undefined) return channel;
    throw new UsageError(
      `--channels must be of ${CHANNELS.join(", ")}: current value is ${JSON.stringify(each)}`,
    );
  });
}

async function look(
  relay: Relay<Jobs>,
  queue: string,
  channels: readonly Channel[],
  { terminal: { signal } }: Session,
  tell: (more: number) => void,
): Promise<Found> {
  const found: Found = { queue, checked: 0, faults: [] };
  for (const channel of channels) {
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await relay.validate(queue, channel, { limit: PAGE, cursor, signal });
      found.checked += page.checked;
      for (const fault of page.faults) found.faults.push({ ...fault, channel });
      tell(page.checked);
      cursor = page.checked === 0 ? undefined : page.cursor;
    } while (cursor !== undefined);
  }
  return found;
}

/** A queue of another program's in the same store: of none of its jobs is a definition known here. */
function isForeign({ checked, faults }: Found): boolean {
  return checked > 0 && faults.length === checked && faults.every(({ reason }) => reason === "unknown");
}

/** What the schema says, place by place. */
function messagesOf(error: Error): readonly string[] {
  if (!(error instanceof InvalidPayloadError)) return [];
  return error.issues.map(({ path, message }) => `${path.join(".") || "payload"}: ${message}`);
}

function print({ terminal: { stdout }, given, json }: Session, { queue, faults }: Found): void {
  for (const { id, name, channel, reason, error } of faults) {
    // A schema's messages may repeat what stands in the payload.
    const issues = given.has("payload") ? messagesOf(error) : [];
    const shown = given.has("payload") ? { issues } : {};
    if (json) printJson(stdout, [{ queue, channel, id, name, reason, error: error.message, ...shown }]);
    else {
      stdout.write(`${plain(queue)} ${channel} ${plain(id)}: ${reason}: ${plain(error.message)}\n`);
      for (const issue of issues) stdout.write(`  ${plain(issue)}\n`);
    }
  }
}

async function validating(session: Session): Promise<number> {
  const channels = channelsOf(session);
  return await withRelay(session.given.positionals[0] ?? "", (relay) => validate(relay, channels, session));
}

async function validate(
  relay: Relay<Jobs>,
  channels: ReturnType<typeof channelsOf>,
  session: Session,
): Promise<number> {
  const { terminal: { stdout, stderr, signal }, given, json } = session;
  const only = given.text("queue");
  const queues = only === undefined ? await relay.queues({ signal }) : [only];
  const progress = progressOf(session.terminal);
  let [checked, faulty] = [0, 0];
  try {
    for (const queue of queues) {
      const found = await look(relay, queue, channels, session, (more) => progress.tell(checked += more));
      if (only === undefined && isForeign(found)) {
        progress.clear();
        stderr.write(
          `${plain(queue)}: ${countOf(found.checked)} of names that are not defined here, left out\n`,
        );
        checked -= found.checked;
        continue;
      }
      faulty += found.faults.length;
      if (found.faults.length > 0) progress.clear();
      print(session, found);
    }
  } finally {
    progress.clear();
  }
  if (json) printJson(stdout, [{ checked, faulty }]);
  else stdout.write(`${countOf(checked)} checked, ${faulty} that no handler would get\n`);
  return faulty > 0 ? 1 : 0;
}

/** The command. */
export const validateCommand: Command = {
  words: "jobs validate",
  positionals: ["module"],
  flags: {
    queue: { ...QUEUE.queue, about: "only this queue; default: all of the store" },
    channels: {
      short: "c",
      value: "LIST",
      about: `channels, parted by commas; default: ${CHANNELS.join(",")}`,
    },
    payload: { about: "show what schemas say of each fault, too: it may repeat parts of payloads" },
    json: { about: "one JSON object a line" },
  },
  about: "Tries the definitions of a module on what is stored, without running or changing anything.",
  examples: [
    "relevo jobs validate ./jobs.js",
    "relevo jobs validate ./jobs.js --queue mail --channels waiting",
  ],
  run: validating,
};
