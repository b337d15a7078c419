import { expect, test } from "vitest";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { call, connection, job, newFile, now, open, rejection } from "./support.ts";

const wait = 60_000;

test("a minute of waiting looks a bounded number of times, however many wait for however many queues", async () => {
  const looks: number[] = [];
  for (const [waiters, queues] of [[1, 1], [20, 20]] as const) {
    const runtime = createFakeRuntime();
    let sleeps = 0;
    const counting = {
      ...runtime,
      sleep: (ms: number, signal?: AbortSignal) => (sleeps++, runtime.sleep(ms, signal)),
      timer: (ms: number, ring: () => void) => (sleeps++, runtime.timer(ms, ring)),
    };
    const transport = open({ path: newFile(), runtime: counting });
    const names = Array.from({ length: queues }, (_, n) => `q${n}`);
    const all = Array.from({ length: waiters }, () => transport.reserve(names, { ...now, wait }));
    await runtime.advance(wait);
    expect((await Promise.all(all)).flat()).toEqual([]);
    expect(runtime.sleepers, "nothing sleeps when nobody waits").toBe(0);
    looks.push(sleeps);
  }
  // 25 ms apart, after some seconds in which it looks more often.
  for (const count of looks) expect(count).toBeLessThan(4_000);
});

test("without a file there is nobody to look out for", async () => {
  const runtime = createFakeRuntime();
  let sleeps = 0;
  const counting = {
    ...runtime,
    sleep: (ms: number, signal?: AbortSignal) => (sleeps++, runtime.sleep(ms, signal)),
    timer: (ms: number, ring: () => void) => (sleeps++, runtime.timer(ms, ring)),
  };
  const transport = open({ path: ":memory:", runtime: counting });
  const waiting = transport.reserve(["q"], { ...now, wait });
  await runtime.advance(wait);
  expect(await waiting).toEqual([]);
  expect(sleeps).toBeLessThan(100);
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
    exec(sql: string): void {
      database.exec(sql);
      if (sql === "COMMIT") slow += 1_000;
    },
    prepare: (sql: string) => database.prepare(sql),
    close: () => database.close(),
  };
  const runtime = { ...fake, monotonic: () => fake.monotonic() + slow };
  const transport = open({ client, runtime });
  await transport.queues(call);
  const waiting = transport.reserve(["q"], { ...now, wait: 100 });
  await transport.push([job({ id: "1" })], call);
  expect(await waiting).toMatchObject([{ id: "1" }]);
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
