/**
 * `relevo jobs` and `relevo dead`: listings, one job, removal and reload.
 *
 * @module
 */

import type { PageOutput, Removed } from "../operate/jobs.ts";
import type { JobView } from "../operate/operation.ts";
import { operationOf } from "../operate/table.ts";
import { afterPreview, tellQueue } from "./ask.ts";
import {
  CHANNELS,
  type Command,
  PAGE,
  present,
  QUEUE,
  SELECTION,
  type Session,
  STORE,
  YES,
} from "./command.ts";
import { countOf, printJob, printJson, printPage } from "./print.ts";

const CHANNEL = {
  channel: {
    short: "c",
    value: "NAME",
    about: "waiting, delayed, reserved, failed or timeout; default: waiting",
  },
};

function pageInput({ given }: Session, place: object): object {
  return {
    ...place,
    ...present({ queue: given.text("queue"), limit: given.number("limit"), cursor: given.text("cursor") }),
    payload: given.has("payload"),
  };
}

function selected({ given }: Session, place: object): object {
  const ids = given.texts("id");
  return {
    ...place,
    ...present({
      queue: given.text("queue"),
      ids: ids.length === 0 ? undefined : ids,
      name: given.text("name"),
      reason: given.text("reason"),
    }),
  };
}

function channelsOf({ given }: Session): object {
  return present({ channels: given.text("channels")?.split(",").map((each) => each.trim()) });
}

async function listing(session: Session, name: string, place: object): Promise<void> {
  const { terminal, json } = session;
  const desk = await session.open();
  const page = await operationOf(name).run(desk, pageInput(session, place), { signal: terminal.signal });
  printPage(terminal.stdout, page as PageOutput, json);
  if ((page as PageOutput).jobs.length === 0) tellQueue(session);
}

async function showing(session: Session, name: string): Promise<void> {
  const { terminal, given, json } = session;
  const desk = await session.open();
  const input = {
    ...present({ queue: given.text("queue") }),
    id: given.positionals[0],
    payload: given.has("payload"),
  };
  printJob(terminal.stdout, await operationOf(name).run(desk, input) as JobView, json);
}

async function removal(session: Session, name: string, place: object): Promise<void> {
  const { terminal: { stdout }, json } = session;
  const desk = await session.open();
  const done = await afterPreview(session, desk, operationOf(name), selected(session, place), "remove");
  const { removed } = (done ?? { removed: 0 }) as Removed;
  if (json) printJson(stdout, [{ removed }]);
  else stdout.write(`${countOf(removed)} removed\n`);
}

async function reloading(session: Session): Promise<void> {
  const { terminal: { stdout }, given, json } = session;
  const desk = await session.open();
  const input = {
    ...selected(session, channelsOf(session)),
    attempts: given.has("reset") ? "reset" : "keep",
  };
  const done = await afterPreview(session, desk, operationOf("dead.reload"), input, "reload");
  const { reloaded, taken } = (done ?? { reloaded: 0, taken: 0 }) as { reloaded: number; taken: number };
  if (json) return printJson(stdout, [{ reloaded, taken }]);
  stdout.write(`${countOf(reloaded)} reloaded\n`);
  if (taken > 0) stdout.write(`${countOf(taken)} left dead, as a live job has the id\n`);
}

const REASON = { reason: { value: "REASON", about: "only jobs that died of this reason" } };

/** The commands. */
export const jobCommands: readonly Command[] = [
  {
    words: "jobs list",
    positionals: [],
    flags: { ...QUEUE, ...CHANNEL, ...PAGE, ...STORE },
    about: operationOf("jobs.list").about,
    examples: ["relevo jobs list --queue mail", "relevo jobs list --channel delayed --limit 10 --json"],
    run: (session) => listing(session, "jobs.list", present({ channel: session.given.text("channel") })),
  },
  {
    words: "jobs show",
    positionals: ["id"],
    flags: { ...QUEUE, payload: PAGE.payload ?? { about: "" }, ...STORE },
    about: operationOf("jobs.show").about,
    examples: ["relevo jobs show order-17 --queue billing --payload"],
    run: (session) => showing(session, "jobs.show"),
  },
  {
    words: "jobs remove",
    positionals: [],
    flags: { ...QUEUE, ...CHANNEL, ...SELECTION, ...YES, ...STORE },
    about: operationOf("jobs.remove").about,
    examples: [
      "relevo jobs remove --queue mail --channel waiting --name newsletter",
      "relevo jobs remove --id a --id b --yes",
    ],
    run: (session) =>
      removal(session, "jobs.remove", { channel: session.given.text("channel") ?? "waiting" }),
  },
  {
    words: "dead list",
    positionals: [],
    flags: { ...QUEUE, ...CHANNELS, ...PAGE, ...STORE },
    about: operationOf("dead.list").about,
    examples: ["relevo dead list", "relevo dead list --queue billing --channels failed --json"],
    run: (session) => listing(session, "dead.list", channelsOf(session)),
  },
  {
    words: "dead show",
    positionals: ["id"],
    flags: { ...QUEUE, payload: PAGE.payload ?? { about: "" }, ...STORE },
    about: operationOf("dead.show").about,
    examples: ["relevo dead show 01J9ZQ --queue billing"],
    run: (session) => showing(session, "dead.show"),
  },
  {
    words: "dead reload",
    positionals: [],
    flags: {
      ...QUEUE,
      ...CHANNELS,
      ...SELECTION,
      ...REASON,
      reset: { about: "count their runs from 1 again; default: one more run each" },
      ...STORE,
    },
    about: operationOf("dead.reload").about,
    examples: ["relevo dead reload", "relevo dead reload --queue billing --reason exhausted --reset"],
    run: reloading,
  },
  {
    words: "dead remove",
    positionals: [],
    flags: { ...QUEUE, ...CHANNELS, ...SELECTION, ...REASON, ...YES, ...STORE },
    about: operationOf("dead.remove").about,
    examples: [
      "relevo dead remove --queue billing --reason invalid",
      "relevo dead remove --channels timeout --yes",
    ],
    run: (session) => removal(session, "dead.remove", channelsOf(session)),
  },
];
