/**
 * `relevo schedules`: recurring jobs.
 *
 * @module
 */

import { mayRemove } from "./ask.ts";
import type { ScheduleListOutput, ScheduleView } from "../operate/schedules.ts";
import { operationOf } from "../operate/table.ts";
import { type Command, PAGE, present, type Session, STORE, YES } from "./command.ts";
import { printJson } from "./print.ts";
import { type Column, tableOf } from "./table.ts";
import { instant, plain } from "./terminal.ts";

const IN = {
  queue: { short: "q", value: "NAME", about: "its queue; needed where several have one of its key" },
};

const COLUMNS: readonly Column[] = [
  { title: "KEY" },
  { title: "QUEUE" },
  { title: "JOB" },
  { title: "WHEN" },
  { title: "NEXT" },
  { title: "STATE" },
];

function stateOf({ paused, problem }: ScheduleView): string {
  if (problem !== undefined) return `cannot be read: ${problem}`;
  if (paused === undefined) return "";
  const { reason, by } = paused;
  return `paused${by === undefined ? "" : ` by ${by}`}${reason === undefined ? "" : `: ${reason}`}`;
}

/** A recurrence for people: of `every` the period as it would be said, as its text is bare milliseconds. */
function recurrence(when: string): string {
  const ms = /^every (\d+)$/.exec(when)?.[1];
  return ms === undefined ? when : `every ${period(Number(ms))}`;
}

/** A period in the largest unit that holds it without a rest. */
function period(ms: number): string {
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]] as const;
  const [unit, size] = units.find(([, each]) => ms % each === 0) ?? ["ms", 1];
  return `${ms / size} ${unit}`;
}

function rowOf(each: ScheduleView): readonly string[] {
  const { key, queue, name = "", when = "", next } = each;
  return [key, queue, name, recurrence(when), instant(next), stateOf(each)];
}

async function listing({ terminal: { stdout, signal }, given, json, open }: Session): Promise<void> {
  const input = present({
    queue: given.text("queue"),
    limit: given.number("limit"),
    cursor: given.text("cursor"),
  });
  const found = await operationOf("schedules.list").run(await open(), input, { signal });
  const { schedules, cursor } = found as ScheduleListOutput;
  if (json) printJson(stdout, schedules);
  else if (schedules.length === 0) stdout.write("no schedules\n");
  else stdout.write(tableOf(COLUMNS, schedules.map(rowOf)));
  if (cursor === undefined) return;
  if (json) printJson(stdout, [{ cursor }]);
  else stdout.write(`more: --cursor ${cursor}\n`);
}

/** Runs an operation on the schedule whose key is the command's argument. */
async function onKey<Output>(
  { terminal: { signal }, given, open }: Session,
  name: string,
  more: object = {},
) {
  const input = { key: given.positionals[0], ...present({ queue: given.text("queue") }), ...more };
  return await operationOf(name).run(await open(), input, { signal }) as Output;
}

async function showing(session: Session): Promise<void> {
  const { terminal: { stdout }, json } = session;
  const found = await onKey<ScheduleView>(session, "schedules.show");
  if (json) return printJson(stdout, [found]);
  const { key, queue, name, when, next, missed, overlap, owner, paused } = found;
  const state = stateOf(found);
  const lines: readonly (readonly [string, string | undefined])[] = [
    ["key", key],
    ["queue", queue],
    ["job", name],
    ["when", when === undefined ? undefined : recurrence(when)],
    ["next", instant(next)],
    ["missed", missed],
    ["overlap", overlap],
    ["owner", owner],
    ["state", state === "" ? undefined : state],
    ["since", paused?.since === undefined ? undefined : instant(paused.since)],
  ];
  for (const [title, text] of lines) {
    if (text !== undefined) stdout.write(`${title.padEnd(10)}${plain(text)}\n`);
  }
}

async function removing(session: Session): Promise<void> {
  const { terminal: { stderr }, given } = session;
  if (!given.has("yes")) {
    const found = await onKey<ScheduleView>(session, "schedules.show");
    const show = (): void => void stderr.write(`to be removed:\n${tableOf(COLUMNS, [rowOf(found)])}`);
    if (!await mayRemove(session, `schedule '${plain(found.key)}'`, show)) return;
  }
  await changing(session, "schedules.remove", "removed");
}

async function previewing(session: Session): Promise<void> {
  const { terminal: { stdout }, given, json } = session;
  const { ticks } = await onKey<{ readonly ticks: readonly number[] }>(
    session,
    "schedules.preview",
    present({ count: given.number("count") }),
  );
  if (json) printJson(stdout, ticks.map((tick) => ({ tick })));
  else for (const tick of ticks) stdout.write(`${instant(tick)}\n`);
}

async function running(session: Session): Promise<void> {
  const { terminal: { stdout }, json } = session;
  const pushed = await onKey<{ readonly id: string; readonly status: string }>(session, "schedules.run");
  if (json) printJson(stdout, [pushed]);
  else stdout.write(`${pushed.status} ${plain(pushed.id)}\n`);
}

/** Changes one schedule, and says so. */
async function changing(session: Session, name: string, done: string, more: object = {}): Promise<void> {
  const { terminal: { stdout }, json } = session;
  const { key } = await onKey<{ readonly key: string }>(session, name, more);
  if (json) printJson(stdout, [{ key, [done]: true }]);
  else stdout.write(`${plain(key)} ${done}\n`);
}

function command(
  verb: string,
  flags: Command["flags"],
  examples: readonly string[],
  run: Command["run"],
): Command {
  const positionals = verb === "list" ? [] : ["key"];
  const { about } = operationOf(`schedules.${verb}`);
  return { words: `schedules ${verb}`, positionals, flags: { ...flags, ...STORE }, about, examples, run };
}

const { limit = { about: "" }, cursor = { about: "" } } = PAGE;

/** The commands. */
export const scheduleCommands: readonly Command[] = [
  command(
    "list",
    { queue: { short: "q", value: "NAME", about: "only those of this queue; default: all" }, limit, cursor },
    ["relevo schedules list"],
    listing,
  ),
  command("show", IN, ["relevo schedules show nightly"], showing),
  command(
    "preview",
    { ...IN, count: { short: "n", value: "N", about: "ticks to show, 1 to 1000; default: 5" } },
    ["relevo schedules preview nightly --count 10"],
    previewing,
  ),
  command(
    "pause",
    { ...IN, reason: { value: "TEXT", about: "why, for those who look later" } },
    ["relevo schedules pause nightly --reason 'the bank is down'"],
    (session) =>
      changing(session, "schedules.pause", "paused", {
        ...present({ reason: session.given.text("reason") }),
        by: "relevo",
      }),
  ),
  command(
    "resume",
    IN,
    ["relevo schedules resume nightly"],
    (session) => changing(session, "schedules.resume", "resumed"),
  ),
  command("run", IN, ["relevo schedules run nightly"], running),
  command(
    "remove",
    { ...IN, ...YES },
    ["relevo schedules remove nightly --queue reports", "relevo schedules remove nightly --yes"],
    removing,
  ),
];
