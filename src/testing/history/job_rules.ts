/**
 * The rules of the history of one job: all lines of one id in one queue.
 *
 * @module
 */

import {
  began,
  type DispatchLine,
  ended,
  happened,
  type HistoryLine,
  type LeftLine,
  mayHaveHappened,
  type OperateLine,
  type Report,
  type SettleLine,
  type StartLine,
} from "./lines.ts";

/** The lines of one job, by their events, each in order of time. */
export interface JobHistory {
  readonly name: string;
  /** In the order in which the events began. */
  readonly lines: readonly HistoryLine[];
  readonly dispatches: readonly DispatchLine[];
  readonly starts: readonly StartLine[];
  readonly settles: readonly SettleLine[];
  readonly operations: readonly OperateLine[];
  readonly left: readonly LeftLine[];
}

type Rule = (job: JobHistory, report: Report, slack: number) => void;

function isStored(line: DispatchLine): boolean {
  return mayHaveHappened(line) && line.status !== "duplicate";
}

function isDead(to: string): boolean {
  return to === "failed" || to === "timeout";
}

/** Whether a settlement may have ended the job for good. */
function mayEnd(line: SettleLine): boolean {
  return isFinal(line) && mayHaveHappened(line) && line.state === "settled";
}

function isFinal(line: SettleLine): boolean {
  return line.to === "done" || isDead(line.to);
}

/** Every life, by dispatch or reload, has an end that is known, may have been, or is still to come. */
const nothingLost: Rule = ({ name, lines, dispatches, starts, settles, operations, left }, report) => {
  const lives = dispatches.filter((line) => happened(line) && line.status !== "duplicate").length +
    operations.filter((line) => line.op === "reload" && happened(line)).length;
  const reloads = operations.filter((line) => line.op === "reload" && mayHaveHappened(line)).length;
  // A settlement whose answer was lost is sent again: one delivery ends once.
  const ends = [...new Map(settles.filter(mayEnd).map((line) => [line.token, line])).values()];
  const removed = operations.filter((line) => line.op === "remove" && mayHaveHappened(line)).length;
  // A process may be killed between the end of a handler and the line that says that the job is settled.
  const open = starts.filter(({ token }) =>
    lines.some((line) => line.op === "end" && line.token === token) &&
    !settles.some((line) => line.token === token)
  ).length;
  const live = left.filter(({ channel }) => !isDead(channel)).length;
  const deaths = Math.max(0, ends.filter(({ to }) => isDead(to)).length - reloads);
  const unseen = Math.max(0, left.length - live - deaths);
  if (lives > ends.length + removed + open + live + unseen) {
    report("S1", dispatches[0]?.at ?? 0, `${name} was stored and is neither done nor dead nor left`);
  }
};

/** A job whose run failed is not done: its work is lost as if the job had vanished. */
const failedIsNotDone: Rule = ({ name, lines, settles }, report) => {
  const failed = new Set(lines.flatMap((line) => line.op === "end" && line.failed ? [line.token] : []));
  for (const line of settles) {
    if (line.to === "done" && ended(line) && failed.has(line.token)) {
      report("S1", line.at, `${name} is done as '${line.token}', whose run failed`);
    }
  }
};

const nothingInvented: Rule = ({ name, dispatches, starts, settles }, report) => {
  const replaced = settles.filter(({ digest }) => digest !== undefined);
  const digests = new Set([...dispatches.filter(isStored), ...replaced].map(({ digest }) => digest));
  for (const { at, digest } of starts) {
    if (!dispatches.some(isStored)) report("S2", at, `${name} was delivered and never dispatched`);
    else if (digest !== undefined && !digests.has(undefined) && !digests.has(digest)) {
      report("S2", at, `${name} was delivered with another payload or other headers`);
    }
  }
};

const repeatedOnce: Rule = ({ name, dispatches, starts, settles, operations }, report) => {
  if (!dispatches.some(({ outcome }) => outcome === "unknown")) return;
  // The one that was stored first says how long the others are refused; any may be it.
  const window = Math.min(...dispatches.map(({ idWindow = 0 }) => idWindow));
  const over = Math.min(...dispatches.map(began)) + window;
  const reloads = operations.filter(({ op }) => op === "reload").length;
  const ends = settles.filter((line) => isFinal(line) && ended(line));
  const again = ends[1 + reloads];
  // A dispatch that began later may have been stored when the window was over: an unknown effect may happen late.
  if (again !== undefined && starts.some((line) => line.token === again.token && line.at <= over)) {
    report("S3", again.at, `${name} was repeated within its window and appeared twice`);
  }
};

const onePlace: Rule = ({ name, dispatches, left }, report) => {
  const live = left.filter(({ channel }) => !isDead(channel));
  const most = dispatches.filter(isStored).length;
  if (live.length > 1 || left.length > Math.max(1, most)) {
    report("S4", left[0]?.at ?? 0, `${name} is in ${left.map(({ channel }) => channel).join(" and ")}`);
  }
};

/** Until when a delivery is alone: the end of its lease as extended before the next began, or its settlement. */
function heldUntil(job: JobHistory, start: StartLine, next: StartLine): number {
  let until = start.until;
  for (const line of job.lines) {
    const extended = line.op === "extend" && line.token === start.token && line.state === "held";
    if (extended && happened(line) && line.at <= next.at) {
      until = Math.max(until, line.until);
    }
    if (
      line.op === "settle" && line.token === start.token && mayHaveHappened(line) && line.state === "settled"
    ) {
      return Math.min(until, began(line));
    }
  }
  return until;
}

const noOverlap: Rule = (job, report, slack) => {
  for (const [n, start] of job.starts.entries()) {
    const next = job.starts[n + 1];
    if (next !== undefined && next.at < heldUntil(job, start, next) - slack) {
      report("S5", next.at, `${job.name} was delivered as '${next.token}' while '${start.token}' held it`);
    }
  }
};

const fenced: Rule = ({ name, lines, starts }, report, slack) => {
  const settled = new Map<string, number>();
  for (const line of lines) {
    if (line.op !== "settle" && line.op !== "extend") continue;
    const passed = line.op === "settle" ? ended(line) : happened(line) && line.state === "held";
    if (!passed) continue;
    const mine = starts.findIndex(({ token }) => token === line.token);
    const next = starts[mine + 1];
    const late = mine >= 0 && next !== undefined && next.at < began(line) - slack;
    // An extension that began before the settlement was over may have come first.
    const over = settled.get(line.token) ?? Infinity;
    if (late || (line.op === "settle" ? over < Infinity : over < began(line))) {
      report("S6", line.at, `${name}: '${line.token}' passed a ${line.op} that was stale`);
    }
    if (line.op === "settle") settled.set(line.token, line.at);
  }
};

const finalIsFinal: Rule = ({ name, lines }, report) => {
  let lives = 0;
  for (const line of lines) {
    if (line.op === "dispatch" && isStored(line)) lives++;
    else if (line.op === "reload" && mayHaveHappened(line)) lives++;
    else if (line.op === "settle" && isFinal(line) && ended(line)) lives--;
    else if (line.op === "start" && lives < 1) {
      const known = lines.some((other) => other.op === "dispatch" && isStored(other));
      if (known) report("S7", line.at, `${name} was delivered after it was done or dead`);
    }
  }
};

/** Whether a settlement may have passed: one that was sent when the next delivery had begun has not. */
function mayBePassed(line: SettleLine, current: string | undefined): boolean {
  return mayHaveHappened(line) && line.state === "settled" &&
    (current === undefined || line.token === current);
}

const attemptsCount: Rule = ({ name, lines, starts, dispatches }, report) => {
  const attempts = new Map(starts.map(({ token, attempt }) => [token, attempt]));
  /** Lives that may have begun, and of which no run was seen. */
  let fresh = 0;
  let expected: readonly number[] = dispatches.some(isStored) ? [] : [1];
  let current: string | undefined;
  let max = Infinity;
  for (const line of lines) {
    if (line.op === "dispatch" && isStored(line)) {
      max = line.maxAttempts ?? max;
      fresh++;
    } else if (line.op === "start") {
      const known = expected.includes(line.attempt);
      if (!known && line.attempt === 1 && fresh > 0) fresh--;
      else if (!known) {
        const wanted = [...expected, ...fresh > 0 ? [1] : []].join(" or ");
        report("S8", line.at, `${name} runs as attempt ${line.attempt} instead of ${wanted}`);
      } else if (line.attempt > max) {
        report("S8", line.at, `${name} runs as attempt ${line.attempt} of ${max}`);
      }
      expected = [line.attempt];
      current = line.token;
    } else if (line.op === "reload" && mayHaveHappened(line)) {
      const known = expected.length === 0 ? [1] : expected;
      if (line.reset !== true) max = Math.max(max, ...known) + 1;
      expected = line.reset === true ? [1] : [...known, ...known.map((attempt) => attempt + 1)];
    } else if (line.op === "settle" && line.to === "again" && mayBePassed(line, current)) {
      // Of the run that ends here: a settlement whose answer was lost is sent again, and counts once.
      const last = attempts.get(line.token) ?? Math.max(1, ...expected);
      const next = line.cycle === "new" ? 1 : line.cycle === "same" ? last : last + 1;
      expected = happened(line) ? [next] : [last, next];
    }
  }
};

const neverEarly: Rule = ({ name, lines }, report, slack) => {
  let due = -Infinity;
  for (const line of lines) {
    if (line.op === "dispatch" && isStored(line)) due = line.due ?? -Infinity;
    else if (line.op === "settle" && line.to === "again" && ended(line)) due = line.due ?? -Infinity;
    else if (line.op === "reload") due = -Infinity;
    else if (line.op === "start" && line.at < due - slack) {
      report("S9", line.at, `${name} began ${due - line.at} ms before it was due`);
    }
  }
};

const deadForAReason: Rule = ({ name, dispatches, starts, settles, operations, left }, report) => {
  for (const { at, channel, reason } of left) {
    if (isDead(channel) && !reason) report("S10", at, `${name} is dead in ${channel} without a reason`);
  }
  const max = dispatches.find(({ maxAttempts }) => maxAttempts !== undefined)?.maxAttempts;
  if (max === undefined || operations.some(({ op }) => op === "reload")) return;
  for (const line of settles.filter(ended)) {
    const attempt = starts.find(({ token }) => token === line.token)?.attempt;
    if (attempt === undefined) continue;
    if (line.reason === "exhausted" && attempt < max) {
      report("S10", line.at, `${name} is dead as exhausted at attempt ${attempt} of ${max}`);
    }
    if (line.to === "again" && line.cycle === undefined && attempt >= max) {
      report("S10", line.at, `${name} goes on after attempt ${attempt} of ${max}`);
    }
  }
};

/** The facts of a job's lives around a call that takes effect somewhere between its beginning and its end. */
function livesAround(
  { dispatches, settles, operations }: JobHistory,
  call: DispatchLine,
): { readonly certain: number; readonly possible: number } {
  const begins = [
    ...dispatches.filter((line) => line !== call && isStored(line)),
    ...operations.filter(({ op }) => op === "reload"),
  ];
  const before = begins.filter((line) => happened(line) && line.at < began(call));
  const until = begins.filter((line) => mayHaveHappened(line) && began(line) <= call.at);
  const ends = settles.filter((line) => isFinal(line) && ended(line) && line.at < began(call));
  const tokens = settles.filter((line) => mayEnd(line) && began(line) <= call.at).map(({ token }) => token);
  const removed = operations.filter((line) =>
    line.op === "remove" && mayHaveHappened(line) && began(line) <= call.at
  );
  return {
    certain: before.length - new Set(tokens).size - removed.length,
    // A removed job may have been dead before.
    possible: until.length - ends.length,
  };
}

const oneLive: Rule = (job, report, slack) => {
  for (const call of job.dispatches) {
    if (call.idWindow === undefined || !happened(call)) continue;
    const held = job.dispatches.filter((line) =>
      line !== call && isStored(line) && line.idWindow !== undefined
    );
    const { certain, possible } = livesAround(job, call);
    if (call.status === "duplicate") {
      const free = held.every((line) => {
        if (began(line) > call.at) return true;
        // One whose answer was lost may have been stored later than its call ended, and holds its id from then on.
        return line.outcome !== "unknown" && began(call) > line.at + (line.idWindow ?? 0) + slack;
      });
      if (free && possible <= 0) {
        report("S11", call.at, `${job.name} was refused though its id was free`);
      }
      continue;
    }
    const taken = held.some((line) => {
      return happened(line) && line.at < began(call) && call.at < began(line) + (line.idWindow ?? 0) - slack;
    });
    if (taken || certain > 0) report("S11", call.at, `${job.name} was stored though its id was held`);
  }
};

/** The rules for one job. */
export const JOB_RULES: readonly Rule[] = [
  nothingLost,
  failedIsNotDone,
  nothingInvented,
  repeatedOnce,
  onePlace,
  noOverlap,
  fenced,
  finalIsFinal,
  attemptsCount,
  neverEarly,
  deadForAReason,
  oneLive,
];
