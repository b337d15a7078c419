/**
 * The rules across jobs: of queues, schedules, workers and buffers.
 *
 * @module
 */

import {
  type AroundLine,
  began,
  ended,
  happened,
  type HistoryLine,
  mayHaveHappened,
  type Report,
  type SettleLine,
} from "./lines.ts";

type Rule = (lines: readonly HistoryLine[], report: Report) => void;

const infoEqualsSum: Rule = (lines, report) => {
  for (const line of lines) {
    if (line.op !== "info") continue;
    for (const channel of new Set([...Object.keys(line.counts), ...Object.keys(line.listed)])) {
      const [told = 0, found = 0] = [line.counts[channel], line.listed[channel]];
      if (told !== found) {
        report(
          "S4",
          line.at,
          `info of '${line.queue}' says ${told} in ${channel}, the listing holds ${found}`,
        );
      }
    }
  }
};

const ticksOnce: Rule = (lines, report) => {
  const jobs = new Map<string, Set<string>>();
  for (const line of lines) {
    if (line.op !== "dispatch" || line.schedule === undefined || line.status === "duplicate") continue;
    if (!mayHaveHappened(line)) continue;
    const tick = `${line.schedule}, tick ${line.tick}`;
    const ids = jobs.get(tick) ?? new Set();
    jobs.set(tick, ids);
    if (happened(line) && ids.size > 0 && !ids.has(line.id)) {
      report("S12", line.at, `${tick} has more than one job`);
    }
    ids.add(line.id);
  }
  for (const line of lines) {
    if (line.op === "tick" && !jobs.has(`${line.schedule}, tick ${line.tick}`)) {
      report("S12", line.at, `${line.schedule}, tick ${line.tick} has no job`);
    }
  }
};

const withinConcurrency: Rule = (lines, report) => {
  const most = new Map<string, number>();
  const running = new Map<string, Set<string>>();
  for (const line of lines) {
    const process = line.process ?? "";
    if (line.op === "run") {
      most.set(process, line.concurrency);
      running.set(process, new Set());
    } else if (line.op === "end") running.get(process)?.delete(line.token);
    else if (line.op === "start") {
      const tokens = running.get(process)?.add(line.token);
      const limit = most.get(process);
      if (tokens !== undefined && limit !== undefined && tokens.size > limit) {
        report("S13", line.at, `${process} runs ${tokens.size} handlers of at most ${limit}`);
      }
    }
  }
};

const orderKept: Rule = (lines, report) => {
  const places = new Map<string, { order: string; place: number }>();
  const reached = new Map<string, number>();
  for (const line of lines) {
    if (line.op === "dispatch" && line.order !== undefined && happened(line) && line.status !== "duplicate") {
      places.set(`${line.queue}/${line.id}`, { order: line.order, place: places.size });
    }
  }
  const begun = new Set<string>();
  for (const line of lines) {
    if (line.op !== "start") continue;
    const job = `${line.queue}/${line.id}`;
    const place = places.get(job);
    if (place === undefined || begun.has(job)) continue;
    begun.add(job);
    const before = reached.get(place.order) ?? -1;
    if (place.place < before) report("S14", line.at, `${job} began after a job that was dispatched after it`);
    reached.set(place.order, Math.max(before, place.place));
  }
};

const nothingAfterStop: Rule = (lines, report) => {
  const stopped = new Set<string>();
  for (const line of lines) {
    if (line.op === "run") stopped.delete(line.process);
    else if (line.op === "stop") {
      stopped.add(line.process);
      if (line.alive > 0) {
        report("S15", line.at, `${line.process} left ${line.alive} timers, sockets or calls alive`);
      }
    } else if (line.process !== undefined && stopped.has(line.process)) {
      const works = line.op === "start" || line.op === "extend" || line.op === "settle";
      if (works) report("S15", line.at, `${line.process} made a ${line.op} after it had stopped`);
    }
  }
};

/** Changes of an operator's call beyond the channel that it named. */
const onlyWhatWasNamed: Rule = (lines, report) => {
  for (const line of lines) {
    if (line.op !== "around") continue;
    for (const queue of new Set([...Object.keys(line.before), ...Object.keys(line.after)])) {
      compare(line, queue, report);
    }
  }
};

function compare(line: AroundLine, queue: string, report: Report): void {
  const before = line.before[queue] ?? {};
  const after = line.after[queue] ?? {};
  for (const channel of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [had = 0, has = 0] = [before[channel], after[channel]];
    const what =
      `${channel} of '${queue}' went from ${had} to ${has} by a call on ${line.channel} of '${line.queue}'`;
    if (queue !== line.queue && had !== has) report("S18", line.at, what);
    else if (queue === line.queue && channel !== line.channel && has < had) report("S16", line.at, what);
  }
}

const metricsEqual: Rule = (lines, report) => {
  for (const metric of lines) {
    if (metric.op !== "metric") continue;
    const own = lines.filter((line): line is SettleLine =>
      line.op === "settle" && line.process === metric.process && line.to === metric.to
    );
    const told = own.filter(ended).length;
    // One whose answer was lost may be known to have taken effect all the same.
    const unknown = new Set(
      own.filter(({ outcome }) => outcome === "unknown").map(({ token }) => token),
    ).size;
    if (metric.count < told || metric.count > told + unknown) {
      report(
        "S17",
        metric.at,
        `${metric.process} counted ${metric.count} to ${metric.to}, the history has ${told}`,
      );
    }
  }
};

const withinLimits: Rule = (lines, report) => {
  for (const line of lines) {
    if (line.op === "buffer" && line.size > line.limit) {
      report("S19", line.at, `${line.name} held ${line.size} of at most ${line.limit}`);
    }
  }
};

/** The rules across jobs; lines come in the order in which their events began. */
export const SHARED_RULES: readonly Rule[] = [
  infoEqualsSum,
  ticksOnce,
  withinConcurrency,
  orderKept,
  nothingAfterStop,
  onlyWhatWasNamed,
  metricsEqual,
  withinLimits,
];

/** Lines in the order in which their events began; equal ones as they were written. */
export function inOrder(lines: readonly HistoryLine[]): readonly HistoryLine[] {
  return lines.map((line, n) => ({ line, n })).sort((a, b) => began(a.line) - began(b.line) || a.n - b.n)
    .map(({ line }) => line);
}
