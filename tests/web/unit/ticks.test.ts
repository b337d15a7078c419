/** A worker beside schedules: how often it asks its store, what wakes it, and what it does when the store fails. */
import { expect, test } from "vitest";
import {
  createRelay,
  every,
  memory,
  type Relay,
  type Schedules,
  type Transport,
  TransportFull,
} from "../../../mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { free, heard, running, wrapped } from "../support/kit.ts";

const JOBS = { report: free<string>() };
const HOUR = 3_600_000;
const CALL = { deadline: 1_000 };

/** A transport whose verbs upon schedules are partly another's. */
function scheduling(inner: Transport, part: (schedules: Schedules) => Partial<Schedules>): Transport {
  const { schedules } = inner;
  if (schedules === undefined) throw new TypeError("A transport with schedules is needed");
  return wrapped(inner, () => ({ schedules: { ...schedules, ...part(schedules) } }));
}

interface Scene {
  readonly runtime: FakeRuntime;
  readonly inner: Transport;
  readonly relay: Relay<typeof JOBS>;
  readonly jobs: string[];
}

function scene(part: (schedules: Schedules) => Partial<Schedules> = () => ({})): Scene {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  const relay = createRelay({ jobs: JOBS, runtime, transport: scheduling(inner, part) });
  const jobs: string[] = [];
  relay.handle("report", (payload) => void jobs.push(payload));
  return { runtime, inner, relay, jobs };
}

async function end({ relay, runtime }: Scene, worker: { abort(): Promise<void> }): Promise<void> {
  await worker.abort();
  await relay.close();
  await runtime.settle();
  expect(runtime.sleepers).toBe(0);
}

async function callsBeside(count: number): Promise<number> {
  let calls = 0;
  const here = scene(({ due, advance }) => ({
    due(...rest) {
      calls++;
      return due(...rest);
    },
    advance(...rest) {
      calls++;
      return advance(...rest);
    },
  }));
  for (let n = 0; n < count; n++) {
    await here.inner.schedules?.put(
      {
        queue: "default",
        key: `k${n}`,
        tick: here.runtime.now() + HOUR + n,
        text: "{}",
        payload: new Uint8Array(),
      },
      CALL,
    );
  }
  const worker = running(here.relay);
  await here.runtime.advance(60_000);
  await end(here, worker);
  return calls;
}

test("idling beside ten thousand schedules costs as many calls as beside one, at most one a second", async () => {
  const one = await callsBeside(1);
  expect(await callsBeside(10_000)).toBe(one);
  expect(one).toBeLessThanOrEqual(62);
});

test("a schedule that another process stores is noticed within a poll, and its first tick is in time", async () => {
  const here = scene();
  const worker = running(here.relay, { poll: 2_000 });
  await here.runtime.advance(10_100);
  const other = createRelay({ jobs: JOBS, runtime: here.runtime, transport: here.inner });
  await other.schedule("report", "r", { when: every(2_500) });
  await here.runtime.advance(2_500);
  expect(here.jobs).toEqual(["r"]);
  await end(here, worker);
});

test("a schedule that the worker's own relay stores is pushed at its first tick, however rarely the worker asks", async () => {
  const here = scene();
  const worker = running(here.relay, { poll: HOUR });
  await here.runtime.advance(1_000);
  await here.relay.schedule("report", "r", { when: every(500) });
  await here.runtime.advance(500);
  expect(here.jobs).toEqual(["r"]);
  await end(here, worker);
});

test("a day beside a store of this process that holds no schedule takes a handful of looks", async () => {
  let asked = 0;
  const here = scene(({ due }) => ({
    due(...rest) {
      asked++;
      return due(...rest);
    },
  }));
  const worker = running(here.relay, { poll: 24 * HOUR });
  await here.runtime.advance(24 * HOUR);
  expect(asked).toBeLessThanOrEqual(26);
  await end(here, worker);
});

test("a tick that fails is told once, tried again, and holds up no other schedule", async () => {
  let broken = true;
  const here = scene(({ advance }) => ({
    advance(queue, key, ...rest) {
      if (broken && key === "bad") return Promise.reject(new TransportFull("There is no room"));
      return advance(queue, key, ...rest);
    },
  }));
  const errors = heard(here.relay.events, "error");
  for (const key of ["bad", "good"]) await here.relay.schedule("report", key, { key, when: every(10_000) });
  const worker = running(here.relay);
  await here.runtime.advance(35_000);
  expect(here.jobs).toEqual(["good", "good", "good"]);
  expect(errors.map(({ during, error }) => [during, error.message])).toEqual([
    ["pushing a tick of schedule 'bad' in 'default'", "There is no room"],
  ]);
  broken = false;
  await here.runtime.advance(2_000);
  expect(here.jobs).toEqual(["good", "good", "good", "bad"]);
  await end(here, worker);
});

test("a store that cannot say what is due is told once, asked less and less often, and found again", async () => {
  let broken = true;
  let asked = 0;
  const here = scene(({ due }) => ({
    due(...rest) {
      asked++;
      return broken ? Promise.reject(new Error("no permission")) : due(...rest);
    },
  }));
  const errors = heard(here.relay.events, "error");
  const worker = running(here.relay);
  await here.runtime.advance(60_000);
  expect(errors.map(({ during }) => during)).toEqual(["looking for due schedules"]);
  expect(asked).toBeLessThan(12);
  broken = false;
  await here.relay.schedule("report", "r", { when: every(1_000) });
  await here.runtime.advance(5_000);
  expect(here.jobs.length).toBeGreaterThanOrEqual(4);
  await end(here, worker);
});

test("a store that never answers keeps no worker from stopping", async () => {
  const here = scene(() => ({ due: () => new Promise(() => undefined) }));
  const worker = running(here.relay);
  await here.runtime.advance(5_000);
  const over = worker.abort();
  await here.runtime.advance(2_000);
  await over;
  await here.relay.close();
  await here.runtime.settle();
  expect(here.runtime.sleepers).toBe(0);
});

test("a store whose next tick is always now is not asked without end", async () => {
  let asked = 0;
  const here = scene(({ due }) => ({
    async due(...rest) {
      asked++;
      return { ...await due(...rest), next: 0 };
    },
  }));
  const worker = running(here.relay);
  await here.runtime.advance(10_000);
  expect(asked).toBeLessThan(200);
  await end(here, worker);
});

test("a thousand schedules that are due at one instant are pushed in one look", async () => {
  const here = scene();
  for (let n = 0; n < 1_000; n++) {
    await here.relay.schedule("report", "r", {
      key: `k${n}`,
      when: every(HOUR),
      start: here.runtime.now() + 5_000,
    });
  }
  await here.runtime.advance(5_000);
  expect(await here.relay.drain()).toMatchObject({ completed: 1_000 });
  await here.relay.close();
});
