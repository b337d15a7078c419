import { describe, expect, test } from "vitest";
import { checkHistory, type HistoryLine, readLedger } from "../../../src/testing/mod.ts";

const JOB = { queue: "q", id: "1" };

function dispatch(at: number, part: object = {}): HistoryLine {
  return { op: "dispatch", at, ...JOB, ...part };
}

function start(at: number, token: string, part: object = {}): HistoryLine {
  return { op: "start", at, ...JOB, token, attempt: 1, until: at + 100, ...part };
}

function settle(at: number, token: string, part: object = {}): HistoryLine {
  return { op: "settle", at, ...JOB, token, to: "done", state: "settled", ...part } as HistoryLine;
}

function left(channel: "waiting" | "failed", part: object = {}): HistoryLine {
  return { op: "left", at: 9_999, ...JOB, channel, ...part };
}

function found(lines: readonly HistoryLine[]): readonly string[] {
  return [...new Set(checkHistory(lines).map(({ invariant }) => invariant))];
}

/** A worker's line. */
function of(process: string, line: HistoryLine): HistoryLine {
  return { ...line, process };
}

const again = { to: "again" };
const failed = { to: "failed", reason: "exhausted" };
const stale = { state: "stale" };
const around = { op: "around", at: 1, queue: "a", channel: "failed" } as const;

const BROKEN: Readonly<Record<string, readonly HistoryLine[]>> = {
  "S1 a job that was stored and vanished": [dispatch(0), start(1, "a")],
  "S1 a job that was reloaded and vanished": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", { to: "failed", reason: "r" }),
    { op: "reload", at: 3, ...JOB },
  ],
  "S1 a job that is done though its run failed": [
    dispatch(0),
    start(1, "a"),
    { op: "end", at: 2, ...JOB, token: "a", failed: true },
    settle(3, "a"),
  ],
  "S2 a job that nobody dispatched": [start(1, "a"), settle(2, "a")],
  "S2 a job whose dispatch failed": [dispatch(0, { outcome: "fail" }), start(1, "a"), settle(2, "a")],
  "S2 another payload": [dispatch(0, { digest: "x" }), start(1, "a", { digest: "y" }), settle(2, "a")],
  "S3 a repeated dispatch that appeared twice": [
    dispatch(0, { outcome: "unknown", idWindow: 1_000 }),
    dispatch(10, { idWindow: 1_000 }),
    start(11, "a"),
    settle(12, "a"),
    start(13, "b"),
    settle(14, "b"),
  ],
  "S4 a job in two channels": [dispatch(0), left("waiting"), left("failed", { reason: "r" })],
  "S4 counts that are not the sum": [
    { op: "info", at: 1, queue: "q", counts: { waiting: 2 }, listed: { waiting: 1, reserved: 1 } },
  ],
  "S5 two deliveries at once": [
    dispatch(0),
    start(1, "a"),
    start(50, "b"),
    settle(60, "a", stale),
    settle(61, "b"),
  ],
  "S5 a delivery that ignores an extend": [
    dispatch(0),
    start(1, "a"),
    { op: "extend", at: 90, ...JOB, token: "a", state: "held", until: 300 },
    start(150, "b"),
    settle(160, "b"),
  ],
  "S6 a stale settle that passed": [
    dispatch(0),
    start(1, "a"),
    start(200, "b"),
    settle(210, "a"),
    left("waiting"),
  ],
  "S6 a stale extend that passed": [
    dispatch(0),
    start(1, "a"),
    start(200, "b"),
    { op: "extend", at: 210, ...JOB, token: "a", state: "held", until: 400 },
    settle(220, "b"),
  ],
  "S6 a delivery settled twice": [dispatch(0), start(1, "a"), settle(2, "a"), settle(3, "a")],
  "S7 a job that ran after it was done": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a"),
    start(3, "b"),
    settle(4, "b", stale),
  ],
  "S8 an attempt that skips": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", again),
    start(3, "b", { attempt: 3 }),
    settle(4, "b"),
  ],
  "S8 an attempt that a lost lease counted": [
    dispatch(0),
    start(1, "a"),
    start(200, "b", { attempt: 2 }),
    settle(201, "b"),
  ],
  "S8 an attempt beyond the maximum": [
    dispatch(0, { maxAttempts: 1 }),
    start(1, "a"),
    settle(2, "a", { ...again, outcome: "unknown" }),
    start(3, "b", { attempt: 2 }),
    settle(4, "b"),
  ],
  "S8 a new cycle that goes on counting": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", { ...again, cycle: "new" }),
    start(3, "b", { attempt: 2 }),
    settle(4, "b"),
  ],
  "S9 a first run that was early": [dispatch(0, { due: 50 }), start(49, "a"), settle(60, "a")],
  "S9 a retry that was early": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", { ...again, due: 50 }),
    start(30, "b", { attempt: 2 }),
    settle(60, "b"),
  ],
  "S10 a dead job without a reason": [dispatch(0), left("failed")],
  "S10 a job that gave up too soon": [dispatch(0, { maxAttempts: 3 }), start(1, "a"), settle(2, "a", failed)],
  "S10 a job that did not give up": [
    dispatch(0, { maxAttempts: 1 }),
    start(1, "a"),
    settle(2, "a", again),
    left("waiting"),
  ],
  "S11 an id stored while live": [
    dispatch(0, { idWindow: 0 }),
    dispatch(1, { idWindow: 0 }),
    left("waiting"),
    left("failed", { reason: "r" }),
  ],
  "S11 an id stored within its window": [
    dispatch(0, { idWindow: 1_000 }),
    start(1, "a"),
    settle(2, "a"),
    dispatch(3, { idWindow: 1_000 }),
    left("waiting"),
  ],
  "S11 an id refused though free": [
    dispatch(0, { idWindow: 10 }),
    start(1, "a"),
    settle(2, "a"),
    dispatch(30, { idWindow: 10, status: "duplicate" }),
  ],
  "S12 a tick with two jobs": [
    dispatch(0, { schedule: "s", tick: 7 }),
    left("waiting"),
    dispatch(1, { id: "2", schedule: "s", tick: 7 }),
    { ...left("waiting"), id: "2" } as HistoryLine,
  ],
  "S12 a tick without a job": [{ op: "tick", at: 1, schedule: "s", tick: 7 }],
  "S13 more handlers than slots": [
    { op: "run", at: 0, process: "w", concurrency: 1 },
    dispatch(0),
    dispatch(0, { id: "2" }),
    of("w", start(1, "a")),
    of("w", start(2, "b", { id: "2" })),
    of("w", settle(3, "a")),
    of("w", settle(4, "b", { id: "2" })),
  ],
  "S14 a job that overtook": [
    dispatch(0, { order: "o" }),
    dispatch(1, { id: "2", order: "o" }),
    start(2, "b", { id: "2" }),
    start(3, "a"),
    settle(4, "a"),
    settle(5, "b", { id: "2" }),
  ],
  "S15 timers after the stop": [{ op: "stop", at: 1, process: "w", alive: 1 }],
  "S15 a settle after the stop": [
    dispatch(0),
    of("w", start(1, "a")),
    { op: "stop", at: 2, process: "w", alive: 0 },
    of("w", settle(3, "a")),
  ],
  "S16 a flush that took another channel": [
    { ...around, before: { a: { failed: 1, waiting: 1 } }, after: { a: { failed: 0, waiting: 0 } } },
  ],
  "S17 a metric that forgot one": [
    dispatch(0),
    of("w", start(1, "a")),
    of("w", settle(2, "a")),
    { op: "metric", at: 3, process: "w", to: "done", count: 0 },
  ],
  "S18 a flush that reached another queue": [
    {
      ...around,
      before: { a: { failed: 1 }, b: { failed: 1 } },
      after: { a: { failed: 0 }, b: { failed: 0 } },
    },
  ],
  "S19 a buffer over its limit": [{ op: "buffer", at: 1, name: "unsettled", size: 2_001, limit: 2_000 }],
};

/** Ordinary lives: lost leases, retries, reloads, releases, kills, unknown outcomes. */
const SOUND: Readonly<Record<string, readonly HistoryLine[]>> = {
  "done at once": [dispatch(0), start(1, "a"), settle(2, "a")],
  "still waiting": [dispatch(0), left("waiting")],
  "a lost lease and a late settle": [
    dispatch(0),
    start(1, "a"),
    start(101, "b"),
    settle(120, "a", stale),
    settle(130, "b"),
  ],
  "a release": [dispatch(0), start(1, "a"), settle(2, "a", { to: "release" }), start(2, "b"), settle(3, "b")],
  "a run that failed and one that did not": [
    dispatch(0),
    start(1, "a"),
    { op: "end", at: 2, ...JOB, token: "a", failed: true },
    settle(3, "a", again),
    start(4, "b", { attempt: 2 }),
    { op: "end", at: 5, ...JOB, token: "b" },
    settle(6, "b"),
  ],
  "a late settle of a run that failed": [
    dispatch(0),
    start(1, "a"),
    { op: "end", at: 101, ...JOB, token: "a", failed: true },
    start(102, "b"),
    settle(103, "a", stale),
    settle(104, "b"),
  ],
  "refused by one that was stored after its call had ended": [
    dispatch(0, { outcome: "unknown", idWindow: 100 }),
    start(90, "a"),
    settle(91, "a"),
    dispatch(120, { status: "duplicate", idWindow: 0 }),
  ],
  "retries to the end": [
    dispatch(0, { maxAttempts: 2 }),
    start(1, "a"),
    settle(2, "a", { ...again, due: 20 }),
    start(20, "b", { attempt: 2 }),
    settle(21, "b", failed),
    left("failed", { reason: "exhausted" }),
  ],
  "one more run after a reload": [
    dispatch(0, { maxAttempts: 1 }),
    start(1, "a"),
    settle(2, "a", failed),
    { op: "reload", at: 3, ...JOB },
    start(4, "b", { attempt: 2 }),
    settle(5, "b"),
  ],
  "killed after its handler ended": [dispatch(0), start(1, "a"), { op: "end", at: 2, ...JOB, token: "a" }],
  "a dispatch whose answer came after the job was done": [
    dispatch(10, { from: 0 }),
    start(1, "a"),
    settle(2, "a"),
  ],
  "an unknown dispatch, repeated": [
    dispatch(0, { outcome: "unknown", idWindow: 1_000 }),
    dispatch(5, { idWindow: 1_000, status: "duplicate" }),
    start(6, "a"),
    settle(7, "a"),
  ],
  "an unknown settle": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", { outcome: "unknown" }),
    start(101, "b"),
    settle(102, "b"),
  ],
  "an id used again when free": [
    dispatch(0, { idWindow: 10 }),
    start(1, "a"),
    settle(2, "a"),
    dispatch(20, { idWindow: 10 }),
    start(21, "b"),
    settle(22, "b"),
  ],
  "an extension that came before a settlement that was under way": [
    dispatch(0),
    start(1, "a"),
    settle(60, "a", { from: 2 }),
    { op: "extend", at: 40, ...JOB, token: "a", state: "held", until: 140 },
  ],
  "a retry whose answer was lost, sent again": [
    dispatch(0),
    start(1, "a"),
    settle(10, "a", { ...again, from: 2, outcome: "unknown" }),
    settle(12, "a", again),
    start(20, "b", { attempt: 2 }),
    settle(21, "b"),
  ],
  "a retry sent again when the next run has begun": [
    dispatch(0),
    start(1, "a"),
    settle(10, "a", { ...again, from: 2, outcome: "unknown" }),
    start(20, "b", { attempt: 2 }),
    settle(22, "b", again),
    settle(30, "a", { ...again, from: 25, outcome: "unknown" }),
    start(40, "c", { attempt: 3 }),
    settle(41, "c"),
  ],
  "a reload after a run that may have counted": [
    dispatch(0),
    start(1, "a"),
    settle(2, "a", { ...again, outcome: "unknown" }),
    settle(150, "b", { to: "timeout", reason: "lost" }),
    { op: "reload", at: 160, ...JOB },
    start(170, "c"),
    settle(171, "c"),
  ],
  "an id refused while the settlement that frees it is under way": [
    dispatch(0, { idWindow: 0 }),
    start(1, "a"),
    settle(60, "a", { from: 2 }),
    dispatch(30, { idWindow: 0, status: "duplicate" }),
  ],
  "an id stored by a call that outlasted the job before": [
    dispatch(0, { idWindow: 0 }),
    start(1, "a"),
    dispatch(60, { idWindow: 0, from: 5 }),
    settle(10, "a"),
    start(61, "b"),
    settle(62, "b"),
  ],
  "an unknown dispatch that took effect after the window": [
    dispatch(0, { idWindow: 50 }),
    start(1, "a"),
    settle(2, "a"),
    dispatch(45, { idWindow: 50, outcome: "unknown", from: 40 }),
    start(90, "b"),
    settle(91, "b"),
  ],
  "a removal": [dispatch(0), { op: "remove", at: 1, ...JOB }],
};

describe("the checker finds each broken invariant", () => {
  for (const [name, lines] of Object.entries(BROKEN)) {
    test(name, () => expect(found(lines)).toEqual([name.split(" ")[0]]));
  }

  test("and has one example of each", () => {
    const seen = new Set(Object.keys(BROKEN).map((name) => name.split(" ")[0]));
    expect([...seen]).toEqual(Array.from({ length: 19 }, (_, n) => `S${n + 1}`));
  });
});

describe("the checker leaves sound histories alone", () => {
  for (const [name, lines] of Object.entries(SOUND)) {
    test(name, () => expect(checkHistory(lines)).toEqual([]));
  }

  test("a history that is not complete loses nothing", () => {
    expect(checkHistory([dispatch(0)], { complete: false })).toEqual([]);
  });

  test("clocks that differ by less than the slack", () => {
    const lines = [dispatch(0), start(1, "a"), start(98, "b"), settle(99, "b")];
    expect(checkHistory(lines, { slack: 5 })).toEqual([]);
  });
});

test("a ledger is read line by line, without what a crash cut off", () => {
  const lines = [dispatch(0), start(1, "a")];
  const text = lines.map((line) => JSON.stringify(line)).join("\n");
  expect(readLedger(`${text}\n`)).toEqual(lines);
  expect(readLedger(text)).toEqual(lines);
  expect(readLedger(text.slice(0, -3))).toEqual(lines.slice(0, 1));
  expect(readLedger("")).toEqual([]);
});

test("without their arguments the checker and the reader of ledgers say what they want", () => {
  expect(() => Reflect.apply(checkHistory, undefined, [])).toThrow(
    "Cannot check a history as 'lines' must be a list of lines, such as the answer of readLedger: current value is undefined",
  );
  expect(() => Reflect.apply(checkHistory, undefined, [[], { slack: "1" }])).toThrow(
    "Cannot check a history as 'slack'",
  );
  expect(() => Reflect.apply(checkHistory, undefined, [[], { slak: 1 }])).toThrow(
    "there is no option 'slak'",
  );
  expect(() => Reflect.apply(readLedger, undefined, [])).toThrow(
    "Cannot read a ledger as 'text' must be a string: current value is undefined",
  );
});
