import { expect, test } from "vitest";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import type { Statement } from "../../../src/transports/sqlite/mod.ts";
import { call, connection, job, newFile, now, open, rejection } from "./support.ts";

const wait = 60_000;

/** A fake runtime that counts its timers. */
function counting(): { runtime: FakeRuntime; timers: () => number } {
  const fake = createFakeRuntime();
  let timers = 0;
  const runtime = {
    ...fake,
    // Its own getter would be read but once.
    get sleepers() {
      return fake.sleepers;
    },
    sleep: (ms: number, signal?: AbortSignal) => (timers++, fake.sleep(ms, signal)),
    timer: (ms: number, ring: () => void) => (timers++, fake.timer(ms, ring)),
  };
  return { runtime, timers: () => timers };
}

test("a minute of waiting checks four times a second, however many calls wait for however many queues", async () => {
  for (const [waiters, queues] of [[1, 1], [20, 20]] as const) {
    const { runtime, timers } = counting();
    const transport = open({ path: newFile(), runtime });
    const names = Array.from({ length: queues }, (_, n) => `q${n}`);
    const all = Array.from({ length: waiters }, () => transport.reserve(names, { ...now, wait }));
    await runtime.advance(wait);
    expect((await Promise.all(all)).flat()).toEqual([]);
    expect(runtime.sleepers, "nothing sleeps when no call waits").toBe(0);
    expect(timers()).toBeLessThan(300 + waiters);
  }
});

test("waiting beside 300 schedules checks no more often than beside one", async () => {
  const counts: number[] = [];
  for (const schedules of [1, 300]) {
    const { runtime, timers } = counting();
    const transport = open({ path: newFile(), runtime });
    for (let n = 0; n < schedules; n++) {
      const schedule = {
        queue: "q",
        key: `${n}`,
        tick: runtime.now() + 1e9,
        text: "",
        payload: new Uint8Array(),
      };
      await transport.schedules?.put(schedule, call);
    }
    const before = timers();
    const waiting = transport.reserve(["q"], { ...now, wait });
    await runtime.advance(wait);
    expect(await waiting).toEqual([]);
    counts.push(timers() - before);
  }
  const [one = 0, many = Infinity] = counts;
  expect(one).toBeLessThan(300);
  expect(many).toBeLessThanOrEqual(one + 10);
});

test("a database of this process alone is checked once a second", async () => {
  const { runtime, timers } = counting();
  const transport = open({ path: ":memory:", runtime });
  const waiting = transport.reserve(["q"], { ...now, wait });
  await runtime.advance(wait);
  expect(await waiting).toEqual([]);
  expect(timers()).toBeLessThan(100);
});

test("the system's notification of a commit wakes a call that waits, without a timer", async () => {
  const path = newFile();
  const [waits, stores] = [open({ path, runtime: createFakeRuntime() }), open({ path })];
  const waiting = waits.reserve(["q"], { ...now, wait });
  // A call behind it has begun to wait only when this is answered.
  await waits.queues(call);
  await stores.push([job({ id: "1" })], call);
  // The clock stands still, so that no check but a notified one can find it.
  expect(await waiting).toMatchObject([{ id: "1" }]);
});

test("an idle reserve takes no write lock", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const other = connection(path);
  other.exec("BEGIN IMMEDIATE");
  expect(await transport.reserve(["q"], { ...now, deadline: 1 })).toEqual([]);
  expect(await transport.reserve(["q"], { ...now, wait: 50, deadline: 1 })).toEqual([]);
});

test("a reserve gets what is pushed behind it in the same transaction", async () => {
  const runtime = createFakeRuntime();
  const transport = open({ path: newFile(), runtime });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait });
  const late = transport.reserve(["q"], now);
  const pushed = transport.push([job()], call);
  await runtime.settle();
  expect([(await waiting).length, (await late).length, await pushed]).toEqual([1, 0, ["stored"]]);
});

test("a reserve whose wait runs out while its jobs are committed gets them", async () => {
  const database = connection(":memory:");
  const fake = createFakeRuntime();
  let slow = 0;
  const client = {
    exec: (sql: string) => database.exec(sql),
    prepare(sql: string): Statement {
      const statement = database.prepare(sql);
      return {
        run(...values) {
          const changes = statement.run(...values);
          if (sql === "COMMIT") slow += 1_000;
          return changes;
        },
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
      };
    },
    close: () => database.close(),
  };
  const runtime = { ...fake, monotonic: () => fake.monotonic() + slow };
  const transport = open({ client, runtime });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait: 100 });
  await transport.push([job({ id: "1" })], call);
  expect(await waiting).toMatchObject([{ id: "1" }]);
  expect(slow, "the commits").toBeGreaterThanOrEqual(1_000);
});

test("an abort or a close leaves nothing asleep", async () => {
  const runtime = createFakeRuntime();
  const transport = open({ path: newFile(), runtime });
  const controller = new AbortController();
  const aborted = transport.reserve(["a"], { ...now, wait, signal: controller.signal });
  const closed = transport.reserve(["b"], { ...now, wait });
  const ends = Promise.all([rejection(aborted), rejection(closed)]);
  await runtime.advance(100);
  controller.abort("enough");
  await transport[Symbol.asyncDispose]();
  expect(runtime.sleepers).toBe(0);
  expect(await ends).toEqual(["enough", expect.objectContaining({ code: "TRANSPORT_CLOSED" })]);
});

test("two transports of one process wake each other", async () => {
  const path = newFile();
  const [first, second] = [open({ path }), open({ path })];
  for (let n = 0; n < 20; n++) {
    const waiting = first.reserve(["q"], { ...now, wait: 10_000 });
    await second.push([job({ id: `${n}` })], call);
    expect((await waiting).map(({ id }) => id)).toEqual([`${n}`]);
  }
});

test("a raw entry that is delayed wakes who waits when it is due", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait: 10_000 });
  const due = Date.now() + 100;
  connection(path).prepare("INSERT INTO relevo_jobs (queue, payload, due) VALUES ('q', 'x', ?)").run(due);
  expect(await waiting).toHaveLength(1);
  expect(Date.now()).toBeGreaterThanOrEqual(due);
});
