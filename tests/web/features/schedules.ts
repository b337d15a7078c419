/** Recurring jobs: F129 to F134, F150, W84 to W87, W100 with schedules. */
import { expect, it } from "vitest";
import { every, fixed, type Recurrence, type Relay, reschedule, type ScheduleOptions } from "../../../mod.ts";
import { cron } from "../../../src/cron/mod.ts";
import { free, heard, rejection, running } from "../support/kit.ts";
import type { OpenPlace, Place } from "../support/place.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const JOBS = { report: free<string>(), mail: { schema: free<string>(), queue: "mails" } };
const CALL = { deadline: 10_000 };

type Reports = Relay<typeof JOBS>;

interface Scene {
  readonly place: Place;
  readonly relay: Reports;
  /** Ticks of the jobs that were handled, in seconds after the scene began; NaN for a job without one. */
  readonly ticks: number[];
  /** Milliseconds since the epoch at which it began. */
  readonly start: number;
  readonly schedule: (options: Partial<ScheduleOptions>) => Promise<string>;
}

/** A relay that handles reports, and writes down the ticks that they were pushed for. */
function scene(open: OpenPlace): Scene {
  const place = open();
  const start = place.runtime.now();
  const relay = place.relay(JOBS, { recurrences: [cron] });
  const ticks: number[] = [];
  relay.handle("report", (_, { job }) => void ticks.push(((job.tick ?? Number.NaN) - start) / 1_000));
  return {
    place,
    relay,
    ticks,
    start,
    schedule: (options) => relay.schedule("report", "sales", { when: every(10_000), ...options }),
  };
}

export function schedules(open: OpenPlace): void {
  ticking(open);
  missing(open);
  overlapping(open);
  operating(open);
  syncing(open);
  moving(open);
  sharing(open);
  rescheduling(open);
}

function ticking(open: OpenPlace): void {
  it("a schedule's first tick is a period after it was stored, each next one a period after that", async () => {
    const { place: { runtime }, relay, ticks, schedule } = scene(open);
    expect(await schedule({})).toBe("created");
    const worker = running(relay);
    await runtime.advance(9_000);
    expect(ticks).toEqual([]);
    await runtime.advance(22_000);
    expect(ticks).toEqual([10, 20, 30]);
    await worker.abort();
  });

  it("F130: a schedule of a cron expression is met where its zone's clocks say", async () => {
    const { place: { runtime }, relay, ticks, start, schedule } = scene(open);
    const when = cron("30 2 * * *", { timeZone: "Asia/Tokyo" });
    await schedule({ when });
    const [first = 0, second = 0] = await relay.schedules.preview("report", 2);
    expect(new Date(first).toISOString()).toMatch(/T17:30:00.000Z$/);
    expect(second - first).toBe(24 * HOUR);
    for (const tick of [first, second]) {
      await runtime.advance(tick - runtime.now() - 1_000);
      await relay.drain();
      await runtime.advance(2_000);
      await relay.drain();
      expect(ticks.at(-1)).toBe((tick - start) / 1_000);
    }
    expect(ticks).toHaveLength(2);
  });

  it("a schedule put again as it was is the same and keeps its tick, and one that differs is replaced", async () => {
    const { place: { runtime }, relay, schedule } = scene(open);
    await schedule({});
    const [first] = await relay.schedules.preview("report", 1);
    await runtime.advance(4_000);
    expect(await schedule({})).toBe("same");
    expect(await schedule({ maxAttempts: 5 })).toBe("replaced");
    expect(await relay.schedules.preview("report", 1)).toEqual([first]);
    expect(await schedule({ when: every(20_000) })).toBe("replaced");
    const [later = 0] = await relay.schedules.preview("report", 1);
    expect(later).toBeGreaterThanOrEqual((first ?? 0) + 14_000);
  });

  it("a schedule begins at its start, and is gone after its end", async () => {
    const { place: { runtime }, relay, ticks, start, schedule } = scene(open);
    await schedule({ start: start + 15_000, end: new Date(start + 36_000) });
    expect(await relay.schedules.preview("report", 9)).toEqual([15, 25, 35].map((at) => start + at * 1_000));
    const worker = running(relay);
    await runtime.advance(MINUTE);
    expect(ticks).toEqual([15, 25, 35]);
    expect((await relay.schedules.list()).schedules).toEqual([]);
    await worker.abort();
  });

  it("a schedule's jobs have its settings, its key and their tick, and each a generated id", async () => {
    const { place, relay, start } = scene(open);
    await relay.schedule("mail", "to all", {
      when: every(10_000),
      key: "weekly mail ü",
      maxAttempts: 7,
      timeout: 5_000,
      headers: { of: "sales" },
      requestId: "r1",
    });
    await place.runtime.advance(25_000);
    await relay.drain();
    const { jobs } = await relay.list("mails", "waiting");
    expect(jobs).toMatchObject([{
      name: "mail",
      queue: "mails",
      schedule: "weekly mail ü",
      tick: start + 20_000,
      maxAttempts: 7,
      timeout: 5_000,
      headers: { of: "sales" },
      requestId: "r1",
      attempts: 0,
    }]);
    expect(jobs[0]?.id).toHaveLength(26);
  });

  it("a tick whose job fails does not end its schedule, and W100: each tick's job begins at attempt 1", async () => {
    const { place, relay } = scene(open);
    const attempts: number[] = [];
    relay.handle("mail", (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error("no");
    });
    await relay.schedule("mail", "m", {
      when: every(10_000),
      maxAttempts: 2,
      backoff: fixed(1_000),
    });
    const worker = running(relay);
    await place.runtime.advance(25_000);
    expect(attempts).toEqual([1, 2, 1, 2]);
    await worker.abort();
  });

  it("F150: a drain pushes what is due once, and with a limit of 1 handles one job", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({ key: "a" });
    await schedule({ key: "b" });
    await place.runtime.advance(10_500);
    expect(await relay.drain({ limit: 1 })).toMatchObject({ completed: 1 });
    expect(ticks).toEqual([10]);
    expect(await relay.drain()).toMatchObject({ completed: 1 });
    expect(ticks).toEqual([10, 10]);
    expect(await relay.drain()).toMatchObject({ completed: 0 });
  });

  it("a job is due up to its jitter later than its tick, and the ticks stay where they are", async () => {
    const { place: { runtime }, relay, schedule, start } = scene(open);
    const late: number[] = [];
    relay.handle("report", (_, { job }) => void late.push(job.due - (job.tick ?? 0)), { replace: true });
    await schedule({ jitter: 5_000, when: every(MINUTE) });
    const worker = running(relay);
    await runtime.advance(12 * MINUTE);
    expect(late.length).toBeGreaterThanOrEqual(11);
    expect(Math.max(...late)).toBeLessThanOrEqual(5_000);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(new Set(late).size).toBeGreaterThan(1);
    const [next = 0] = await relay.schedules.preview("report", 1);
    expect((next - start) % MINUTE).toBe(0);
    await worker.abort();
  });

  it("a store's clock that steps forth and back repeats no tick", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({ when: every(MINUTE) });
    const worker = running(relay);
    await place.runtime.advance(3 * MINUTE + 1_000);
    expect(ticks).toEqual([60, 120, 180]);
    place.runtime.step(-HOUR);
    await place.runtime.advance(2 * MINUTE);
    expect(ticks).toEqual([60, 120, 180]);
    place.runtime.step(HOUR);
    await place.runtime.advance(2 * MINUTE);
    expect(ticks.length).toBe(new Set(ticks).size);
    expect(ticks.slice(0, 3)).toEqual([60, 120, 180]);
    expect(ticks.length).toBeGreaterThanOrEqual(5);
    await worker.abort();
  });
}

function missing(open: OpenPlace): void {
  it("of ticks that were missed 'once' pushes the newest, however late, and tells the others", async () => {
    const { place, relay, ticks, start, schedule } = scene(open);
    const missed = heard(relay.events, "missed");
    await schedule({ when: every(MINUTE) });
    await place.runtime.advance(10.9 * MINUTE);
    await relay.drain();
    expect(ticks).toEqual([600]);
    expect(missed).toEqual([{
      key: "report",
      queue: "default",
      name: "report",
      missed: "once",
      from: start + MINUTE,
      to: start + 9 * MINUTE,
      count: 9,
    }]);
    expect(await relay.schedules.preview("report", 1)).toEqual([start + 11 * MINUTE]);
  });

  it("'skip' pushes the newest only where it is at most a minute late", async () => {
    const { place, relay, ticks, start, schedule } = scene(open);
    const missed = heard(relay.events, "missed");
    await schedule({ when: every(2 * MINUTE), missed: "skip" });
    await place.runtime.advance(21.5 * MINUTE);
    await relay.drain();
    expect(ticks).toEqual([]);
    expect(missed).toMatchObject([{ from: start + 2 * MINUTE, to: start + 20 * MINUTE, count: 10 }]);
    await place.runtime.advance(MINUTE);
    await relay.drain();
    expect(ticks).toEqual([1_320]);
  });

  it("'all' pushes each, the oldest first", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    const missed = heard(relay.events, "missed");
    await schedule({ when: cron("* * * * *"), missed: "all" });
    await place.runtime.advance(10.5 * MINUTE);
    await relay.drain({ concurrency: 1 });
    expect(ticks).toHaveLength(10);
    expect(ticks).toEqual(ticks.toSorted((a, b) => a - b));
    expect(missed).toEqual([]);
  });

  it("'all' pushes at most a hundred, and tells the rest", async () => {
    const { place, relay, ticks, start, schedule } = scene(open);
    const missed = heard(relay.events, "missed");
    await schedule({ when: every(1_000), missed: "all" });
    await place.runtime.advance(150_500);
    await relay.drain({ concurrency: 1 });
    expect(ticks).toEqual(Array.from({ length: 100 }, (_, n) => 51 + n));
    expect(missed).toMatchObject([{ from: start + 1_000, to: start + 50_000, count: 50 }]);
  });
}

function overlapping(open: OpenPlace): void {
  it("overlap 'skip' leaves out ticks while the job of an earlier one is live", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    const told = heard(relay.events, "tick");
    await schedule({ overlap: "skip", key: "k" });
    for (const wanted of ["stored", "duplicate", "duplicate"]) {
      await place.runtime.advance(10_000);
      // A worker that has no handler pushes ticks all the same.
      const other = place.relay(JOBS);
      other.events.addEventListener("tick", ({ detail }) => expect(detail.result).toBe(wanted));
      await other.drain();
    }
    expect((await relay.info()).waiting).toBe(1);
    await relay.drain();
    expect(ticks).toEqual([10]);
    await place.runtime.advance(10_000);
    await relay.drain();
    expect(ticks).toEqual([10, 40]);
    expect(told.map(({ result }) => result)).toEqual(["stored"]);
  });

  it("overlap 'skip' does not count a dead job", async () => {
    const { place, relay } = scene(open);
    let runs = 0;
    relay.handle("mail", () => {
      runs++;
      throw new Error("no");
    });
    await relay.schedule("mail", "m", { when: every(10_000), overlap: "skip", maxAttempts: 1 });
    for (let n = 1; n <= 3; n++) {
      await place.runtime.advance(10_000);
      await relay.drain();
      expect(runs).toBe(n);
    }
    expect((await relay.info("mails")).failed).toBe(3);
  });
}

function operating(open: OpenPlace): void {
  it("a paused schedule pushes nothing and says why, and goes on with the tick that it had", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({});
    expect(await relay.schedules.pause("report", { reason: "month's end", by: "ops" })).toBe(true);
    const since = place.runtime.now();
    await place.runtime.advance(25_000);
    await relay.drain();
    expect(ticks).toEqual([]);
    const [info] = (await relay.schedules.list()).schedules;
    expect(info?.paused).toMatchObject({ reason: "month's end", by: "ops" });
    expect(Math.abs((info?.paused?.since ?? 0) - since)).toBeLessThan(1_000);
    expect(await schedule({})).toBe("same");
    expect(await schedule({ maxAttempts: 9 })).toBe("replaced");
    await relay.drain();
    expect(ticks).toEqual([]);
    expect(await relay.schedules.resume("report")).toBe(true);
    await relay.drain();
    expect(ticks).toEqual([20]);
    expect((await relay.schedules.list()).schedules[0]?.paused).toBeUndefined();
  });

  it("run pushes a job beside the ticks, which stay, also while the schedule rests", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({ overlap: "skip" });
    await relay.schedules.pause("report");
    const before = await relay.schedules.preview("report", 1);
    expect(await relay.schedules.run("report")).toMatchObject({ status: "stored" });
    expect(await relay.schedules.run("report")).toMatchObject({ status: "stored" });
    await relay.drain();
    expect(ticks).toEqual([Number.NaN, Number.NaN]);
    expect(await relay.schedules.preview("report", 1)).toEqual(before);
    await relay.schedules.resume("report");
    await place.runtime.advance(10_000);
    await relay.drain();
    expect(ticks.at(-1)).toBe(10);
  });

  it("a removed schedule is gone, and its jobs stay", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({});
    await place.runtime.advance(10_000);
    await place.relay(JOBS).drain();
    expect(await relay.schedules.remove("report")).toBe(true);
    expect(await relay.schedules.remove("report")).toBe(false);
    await place.runtime.advance(MINUTE);
    await relay.drain();
    expect(ticks).toEqual([10]);
  });

  it("what is not there is told by false, or by an error of its name", async () => {
    const { relay } = scene(open);
    expect(await relay.schedules.pause("none")).toBe(false);
    expect(await relay.schedules.resume("none")).toBe(false);
    expect(await relay.schedules.remove("none")).toBe(false);
    for (const call of [relay.schedules.run("none"), relay.schedules.preview("none", 1)]) {
      expect(await rejection(call)).toMatchObject({
        name: "UnknownScheduleError",
        code: "UNKNOWN_SCHEDULE",
        key: "none",
      });
    }
  });

  it("schedules of all queues are listed page by page", async () => {
    const { relay, schedule, start } = scene(open);
    for (const key of ["c", "a", "b"]) await schedule({ key });
    await relay.schedule("mail", "m", { when: cron("0 0 * * *"), key: "z", missed: "skip", overlap: "skip" });
    const keys: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await relay.schedules.list({ limit: 2, cursor });
      keys.push(...page.schedules.map(({ queue, key }) => `${queue} ${key}`));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(keys).toEqual(["default a", "default b", "default c", "mails z"]);
    const { schedules: [only, ...none] } = await relay.schedules.list({ queue: "mails" });
    expect(none).toEqual([]);
    expect(only).toMatchObject({
      key: "z",
      queue: "mails",
      name: "mail",
      when: { kind: "cron", text: "0 0 * * *" },
      missed: "skip",
      overlap: "skip",
      jitter: 0,
      size: 3,
    });
    expect(only?.next).toBeGreaterThan(start);
  });
}

function syncing(open: OpenPlace): void {
  it("sync makes the store equal to a list, returns the difference and touches nothing of others", async () => {
    const { relay, schedule } = scene(open);
    await schedule({ key: "by hand" });
    await relay.schedules.sync([{ name: "report", payload: "x", key: "theirs", when: every(5_000) }], {
      owner: "other",
    });
    const first = [
      { name: "report", payload: "a", key: "a", when: every(10_000) },
      { name: "mail", payload: "b", key: "b", when: cron("@daily") },
    ] as const;
    expect(await relay.schedules.sync(first, { owner: "app" })).toEqual({
      created: ["a", "b"],
      replaced: [],
      moved: [],
      same: [],
      removed: [],
    });
    const second = [
      { name: "report", payload: "a", key: "a", when: every(10_000) },
      { name: "report", payload: "c", key: "c", when: every(10_000) },
    ] as const;
    expect(await relay.schedules.sync(second, { owner: "app" })).toEqual({
      created: ["c"],
      replaced: [],
      moved: [],
      same: ["a"],
      removed: ["b"],
    });
    const { schedules: all } = await relay.schedules.list();
    expect(all.map(({ key, owner }) => [key, owner])).toEqual([
      ["a", "app"],
      ["by hand", undefined],
      ["c", "app"],
      ["theirs", "other"],
    ]);
    expect(
      await rejection(relay.schedules.sync([{ ...second[0], key: "theirs" }], { owner: "app" })),
    ).toMatchObject({ message: expect.stringContaining("is of the owner 'other'") });
    expect(await relay.schedules.sync([], { owner: "app" })).toMatchObject({ removed: ["a", "c"] });
  });

  it("two versions of a program that sync side by side push no tick twice and touch nothing of others", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({ key: "by hand", when: every(15_000) });
    const other = place.relay(JOBS, { transport: place.connect(), recurrences: [cron] });
    other.handle("report", (_, { job }) => void ticks.push(((job.tick ?? 0) - 0) / 1_000));
    const list = (...keys: string[]) =>
      keys.map((key) => ({ name: "report" as const, payload: key, key, when: every(10_000) }));
    const workers = [running(relay), running(other)];
    const told = [...heard(relay.events, "tick")];
    for (const one of [relay, other]) {
      one.events.addEventListener("tick", ({ detail }) => told.push(detail));
    }
    for (let round = 0; round < 4; round++) {
      await relay.schedules.sync(list("a", "old"), { owner: "app" });
      await place.runtime.advance(7_000);
      await other.schedules.sync(list("a", "new"), { owner: "app" });
      await place.runtime.advance(7_000);
    }
    const seen = told.map(({ key, tick }) => `${key} ${tick}`);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((one) => one.startsWith("by hand"))).toHaveLength(3);
    expect(seen.filter((one) => one.startsWith("a ")).length).toBeGreaterThanOrEqual(5);
    for (const worker of workers) await worker.abort();
  });
}

function moving(open: OpenPlace): void {
  it("schedule and sync move a schedule whose definition changed its queue, with its tick and its pause", async () => {
    const { place, relay, schedule } = scene(open);
    await schedule({ key: "k" });
    await schedule({ key: "rests" });
    await relay.schedules.pause("rests", { reason: "why not" });
    const [first] = await relay.schedules.preview("k", 1);
    const later = place.relay({ report: { schema: free<string>(), queue: "reports" } });
    expect(await later.schedule("report", "sales", { when: every(10_000), key: "k" })).toBe("replaced");
    expect(
      await later.schedules.sync([{ name: "report", payload: "sales", when: every(10_000), key: "rests" }], {
        owner: "app",
      }),
    ).toMatchObject({ moved: ["rests"] });
    const { schedules: all } = await later.schedules.list();
    expect(all.map(({ queue, key, paused }) => [queue, key, paused?.reason])).toEqual([
      ["reports", "k", undefined],
      ["reports", "rests", "why not"],
    ]);
    expect(await later.schedules.preview("k", 1)).toEqual([first]);
    await place.runtime.advance(10_500);
    await place.relay({ report: { schema: free<string>(), queue: "reports" } }).drain();
    expect((await later.info("reports")).waiting).toBe(1);
  });

  it("a key in several queues needs the queue's name", async () => {
    const { relay, schedule } = scene(open);
    await schedule({ key: "k", queue: "default" });
    await schedule({ key: "k", queue: "mails" });
    expect((await relay.schedules.list()).schedules).toHaveLength(2);
    for (
      const call of [
        relay.schedules.pause("k"),
        relay.schedules.resume("k"),
        relay.schedules.remove("k"),
        relay.schedules.run("k"),
        relay.schedules.preview("k", 1),
      ]
    ) expect((await rejection(call)).message).toContain("'default', 'mails': give { queue }");
    expect(await relay.schedules.remove("k", { queue: "mails" })).toBe(true);
    expect(await relay.schedules.remove("k")).toBe(true);
  });

  it("a topic's schedule needs no group: its jobs wait in the topic, and go whole to the first group", async () => {
    const { runtime, ...place } = open();
    const news = { news: { schema: free<string>(), topic: true } };
    const relay = place.relay(news);
    await relay.schedule("news", "n", { when: every(10_000), missed: "all" });
    await runtime.advance(20_500);
    await place.relay(news).drain();
    const reader = place.relay(news);
    const got: unknown[] = [];
    reader.handle("news", (payload) => void got.push(payload), { group: "readers" });
    await reader.drain();
    expect(got).toEqual(["n", "n"]);
  });
}

function sharing(open: OpenPlace): void {
  it("of many workers one pushes each tick", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    await schedule({ when: every(1_000), missed: "all" });
    const told: number[] = [];
    const relays = [1, 2, 3].map(() => place.relay(JOBS, { transport: place.connect() }));
    for (const one of [relay, ...relays]) {
      one.events.addEventListener("tick", ({ detail }) => told.push(detail.tick));
    }
    const workers = [relay, ...relays].map((one) => running(one));
    await place.runtime.advance(30_500);
    await Promise.all(workers.map((worker) => worker.abort()));
    await relay.drain();
    expect(told.length).toBe(new Set(told).size);
    expect(told).toHaveLength(30);
    expect(ticks).toHaveLength(30);
  });

  it("a worker that lacks a kind says so once, leaves its schedules to others and hides none", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    for (let n = 0; n < 120; n++) {
      await schedule({ key: `c${n}`, when: cron("* * * * *"), start: place.runtime.now() + 1 });
    }
    await schedule({ key: "e", when: every(MINUTE), start: place.runtime.now() + MINUTE + 2_000 });
    const lacks = place.relay(JOBS, { transport: place.connect() });
    lacks.handle("report", (_, { job }) => void ticks.push(job.schedule === "e" ? 1 : 2));
    const errors = heard(lacks.events, "error");
    const worker = running(lacks);
    await place.runtime.advance(3 * MINUTE + 4_000);
    expect(ticks).toEqual([1, 1, 1]);
    expect(errors).toHaveLength(1);
    expect(errors[0]?.error.message).toContain(
      "does not know the recurrences 'cron': give createRelay({ recurrences: [cron] })",
    );
    await worker.abort();
    expect((await relay.schedules.list({ limit: 1_000 })).schedules).toHaveLength(121);
  });

  it("a relay whose workers cannot push a schedule that it stores says so at once, not with the first tick", async () => {
    const { place } = scene(open);
    const when = { when: cron("0 2 * * *"), start: place.runtime.now() + 30 * 24 * 60 * MINUTE };
    const lack =
      "as this relay does not know the recurrences 'cron': give createRelay({ recurrences: [cron] })";
    const lacking = () => {
      const relay = place.relay(JOBS, { transport: place.connect() });
      relay.handle("report", () => {});
      const errors = heard(relay.events, "error");
      return { relay, said: () => errors.map(({ error }) => error.message) };
    };

    const first = lacking();
    await first.relay.schedule("report", "sales", { ...when, key: "early" });
    expect(first.said(), "none of its workers runs").toEqual([]);
    const early = running(first.relay);
    await place.runtime.advance(1_000);
    await first.relay.schedule("report", "sales", { ...when, key: "again" });
    expect(first.said()).toEqual([`Cannot push the ticks of schedule 'early' ${lack}`]);
    await early.abort();

    const second = lacking();
    const late = running(second.relay);
    await place.runtime.advance(1_000);
    await second.relay.schedules.sync([{ name: "report", payload: "sales", key: "late", ...when }], {
      owner: "o",
    });
    expect(second.said()).toEqual([`Cannot push the ticks of schedule 'late' ${lack}`]);
    await late.abort();
  });

  it("a schedule that another program spoilt is told once, and the others go on", async () => {
    const { place, relay, ticks, schedule } = scene(open);
    const { schedules: store } = place.transport;
    const errors = heard(relay.events, "error");
    const tick = Math.floor(place.runtime.now());
    const payload = new TextEncoder().encode('"sales"');
    await schedule({ key: "good" });
    const { schedules: [good] } = await relay.schedules.list();
    const text = (await store?.get("default", "good", CALL))?.text ?? "";
    const bad = [
      { key: "no json", text: "{", payload },
      { key: "no text", text: "", payload },
      { key: "no schedule", text: "[1]", payload },
      { key: "no period", text: text.replace('"10000"', '"soon"'), payload },
      { key: "no word", text: text.replace('"once"', '"twice"'), payload },
      { key: "no payload", text, payload: Uint8Array.of(255, 0) },
      { key: "newer", text: text.replace('"v":1', '"v":99'), payload },
    ];
    for (const one of bad) await store?.put({ queue: "default", tick, ...one }, CALL);
    const worker = running(relay);
    await place.runtime.advance(31_000);
    expect(ticks).toEqual([10, 20, 30]);
    const told = errors.map(({ error }) => /schedule '(.*?)'/.exec(error.message)?.[1]);
    expect(told.toSorted()).toEqual(bad.map(({ key }) => key).toSorted());
    const listed = (await relay.schedules.list()).schedules.filter(({ problem }) => problem !== undefined);
    expect(listed.map(({ key }) => key)).toEqual(["newer", "no json", "no schedule", "no text", "no word"]);
    expect(good?.problem).toBeUndefined();
    expect(await relay.schedules.remove("no json")).toBe(true);
    await worker.abort();
  });
}

function rescheduling(open: OpenPlace): void {
  it.each<readonly [string, Recurrence, RegExp]>([
    ["F133: an expression that is none", cron("bad"), /^failed to reschedule: .*"bad".*five fields/],
    ["F133, W84: an expression that never fires", cron("0 0 30 2 *"), /^failed to reschedule: .*never fires/],
    ["F133: a zone that is none", cron("@daily", { timeZone: "X/Y" }), /^failed to reschedule: .*IANA name/],
    ["F131, F133: a recurrence of one's own that throws", {
      next: () => {
        throw new Error("no next");
      },
    }, /^failed to reschedule: no next$/],
  ])("%s in reschedule makes the job dead with its text, after one run", async (_, by, message) => {
    const { place, relay } = scene(open);
    let runs = 0;
    relay.handle("mail", () => {
      runs++;
      return reschedule(by);
    });
    await relay.dispatch("mail", "m");
    await relay.drain();
    await place.runtime.advance(MINUTE);
    await relay.drain();
    expect(runs).toBe(1);
    const { jobs } = await relay.list("mails", "failed");
    expect(jobs).toMatchObject([{
      dead: { reason: "reschedule" },
      lastError: { message: expect.stringMatching(message) },
    }]);
  });

  it("F130, W85: a job that reschedules itself by '* * * * *' runs on the minute, however long it runs", async () => {
    const { place: { runtime, ...place } } = scene(open);
    const relay = place.relay(JOBS);
    const runs: number[] = [];
    relay.handle("mail", async () => {
      runs.push(runtime.now());
      await runtime.sleep(5_000);
      return reschedule(cron("* * * * *"));
    });
    await relay.dispatch("mail", "m");
    const worker = running(relay);
    await runtime.advance(4 * MINUTE);
    const over = worker.abort();
    await runtime.advance(10_000);
    await over;
    expect(runs.length).toBeGreaterThanOrEqual(4);
    for (const run of runs.slice(1)) expect(run % MINUTE).toBeLessThanOrEqual(1_000);
  });
}
