/** An answer that refuses is told of its queue; the connection and health change once per change of state. */
import { expect, test } from "vitest";
import { fixed, type Transport, TransportError, TransportFull } from "../../../mod.ts";
import type { Settlement } from "../../../src/jobs/exchange.ts";
import { door, free, heard, running, wrapped } from "../support/kit.ts";
import { memoryPlace, type Place } from "../support/place.ts";

const jobs = {
  a: { schema: free<number>(), queue: "a" },
  b: { schema: free<number>(), queue: "b" },
};

const forbidden = (): Error => new TransportError("TRANSPORT_FORBIDDEN", "Its user may not run 'XADD'");
const full = (): Error => new TransportFull("There is no room");
const wrongType = (): Error => new TransportError("TRANSPORT_CORRUPT", "A key of another type is there");
const away = (): Error => new TransportError("TRANSPORT_UNAVAILABLE", "Its node is away");

/** The settlements and extensions that fail, and with what; the others go on. */
interface Faults {
  settle?: ((settlement: Settlement) => Error | undefined) | undefined;
  extend?: ((queue: string) => Error | undefined) | undefined;
  reserve?: (() => Error | undefined) | undefined;
}

/** A relay and what it tells, on a transport that answers some of its items with errors. */
function scene() {
  const place = memoryPlace();
  const faults: Faults = {};
  const asked: number[] = [];
  const transport = wrapped(place.transport, (inner) => ({
    settle: (batch, call) =>
      each(batch, (one) => {
        const error = faults.settle?.(one);
        if (error !== undefined) asked.push(place.runtime.now());
        return error;
      }, (passed) => inner.settle(passed, call)),
    extend: (batch, call) =>
      each(batch, ({ queue }) => faults.extend?.(queue), (passed) => inner.extend(passed, call)),
    reserve(queues, options) {
      const error = faults.reserve?.();
      return error === undefined ? inner.reserve(queues, options) : Promise.reject(error);
    },
  }));
  const relay = place.relay(jobs, { transport });
  return { place, faults, asked, relay, ...watched(place, relay) };
}

/** Answers items that fail with their errors, and the rest as the transport does. */
async function each<Item, Answer>(
  items: readonly Item[],
  errorOf: (item: Item) => Error | undefined,
  pass: (items: readonly Item[]) => Promise<readonly (Answer | Error)[]>,
): Promise<readonly (Answer | Error)[]> {
  const errors = items.map(errorOf);
  const passed = items.filter((_, n) => errors[n] === undefined);
  const answers = passed.length === 0 ? [] : [...await pass(passed)];
  return errors.map((error) => error ?? answers.shift() ?? new Error("No answer was left"));
}

/** What a relay tells of its connection, its queues and its health. */
function watched(place: Place, relay: ReturnType<typeof place.relay<typeof jobs>>) {
  const connections = heard(relay.events, "connection");
  const queues = heard(relay.events, "queue");
  const healths: string[] = [];
  const look = (): void => {
    const { state } = relay.health();
    if (state !== healths.at(-1)) healths.push(state);
  };
  return {
    states: () => connections.map(({ state }) => state),
    troubles: () => queues.map(({ queue, state, during }) => `${queue} ${during} ${state}`),
    queues,
    healths,
    /** Lets time go by, and jobs of both queues with it. */
    async live(ms: number): Promise<void> {
      for (let spent = 0; spent < ms; spent += 50) {
        await Promise.all([relay.dispatch("a", 0), relay.dispatch("b", 0), place.runtime.advance(50)]);
        look();
      }
    },
  };
}

const isAgain = ({ queue, to }: Settlement): boolean => queue === "a" && to === "again";

for (const refusal of [forbidden, full, wrongType]) {
  const { code } = refusal() as TransportError;

  test(`retries that are refused as ${code} while other jobs are settled are told once, of their queue`, async () => {
    const { place, faults, relay, states, troubles, queues, healths, live } = scene();
    let runs = 0;
    relay.handle("a", () => {
      if (runs++ % 10 === 0) throw new Error("This run fails");
    });
    relay.handle("b", () => undefined);
    const work = running(relay, { backoff: fixed(1), lease: 5_000 });
    await live(500);
    faults.settle = (one) => isAgain(one) ? refusal() : undefined;
    await live(20_000);
    expect([states(), troubles()]).toEqual([[], ["a settle down"]]);
    expect(queues[0]?.error).toMatchObject({ code });
    faults.settle = undefined;
    await live(40_000);
    expect([states(), troubles()]).toEqual([[], ["a settle down", "a settle up"]]);
    expect(healths).toEqual(["up"]);
    expect(await relay.info("a")).toMatchObject({ waiting: 0, reserved: 0, failed: 0 });
    await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
  });
}

test("a settlement that is refused is offered again after pauses that grow", async () => {
  const { place, faults, asked, relay } = scene();
  relay.handle("a", () => undefined);
  faults.settle = forbidden;
  await relay.dispatch("a", 0);
  const work = running(relay);
  await place.runtime.advance(300_000);
  const pauses = asked.slice(1).map((at, n) => at - (asked[n] ?? 0));
  expect(pauses.length).toBeGreaterThan(10);
  expect(pauses.length).toBeLessThan(60);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(15_000);
  expect(Math.max(...pauses)).toBeGreaterThan(10 * Math.min(...pauses));
  faults.settle = undefined;
  await place.runtime.advance(15_000);
  expect(await relay.info("a")).toMatchObject({ waiting: 0, reserved: 0 });
  await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
});

for (const refusal of [forbidden, full]) {
  const { code } = refusal() as TransportError;

  test(`extensions that are refused as ${code} while jobs are settled are told once, of their queue`, async () => {
    const { place, faults, relay, states, troubles, healths, live } = scene();
    const ended = door();
    relay.handle("a", (n) => n === 1 ? ended.opened : undefined);
    relay.handle("b", () => undefined);
    await relay.dispatch("a", 1);
    const work = running(relay, { lease: 30_000, concurrency: 5, poll: 100 });
    await live(1_000);
    faults.extend = (queue) => queue === "a" ? refusal() : undefined;
    await live(22_000);
    expect([states(), troubles()]).toEqual([[], ["a extend down"]]);
    faults.extend = undefined;
    await live(15_000);
    expect([states(), troubles()]).toEqual([[], ["a extend down", "a extend up"]]);
    expect(healths).toEqual(["up"]);
    ended.open();
    await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
  });
}

for (const fault of [forbidden, away]) {
  const { code } = fault() as TransportError;

  test(`looks that fail with ${code} while runs are settled and extended are told once`, async () => {
    const { place, faults, relay, states, healths } = scene();
    const ends = Array.from({ length: 8 }, () => door());
    relay.handle("a", (n) => ends[n]?.opened);
    relay.handle("b", () => undefined);
    for (const n of ends.keys()) await relay.dispatch("a", n);
    const work = running(relay, { concurrency: 8, lease: 1_000, poll: 100 });
    await place.runtime.advance(200);
    const { state: before } = relay.health();
    faults.reserve = fault;
    for (const end of ends) {
      end.open();
      await place.runtime.advance(1_000);
      healths.push(relay.health().state);
    }
    expect(states()).toEqual(["down"]);
    expect([before, ...new Set(healths)]).toEqual(["up", "down"]);
    faults.reserve = undefined;
    await place.runtime.advance(15_000);
    expect([...states(), relay.health().state]).toEqual(["down", "up", "up"]);
    await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
  });
}

test("settlements that find no store while others do are told once", async () => {
  const { place, faults, relay, states, healths, live } = scene();
  relay.handle("a", () => undefined);
  relay.handle("b", () => undefined);
  const work = running(relay, { lease: 5_000 });
  await live(500);
  faults.settle = ({ queue }) => queue === "b" ? away() : undefined;
  await live(10_000);
  expect(states()).toEqual(["down"]);
  faults.settle = undefined;
  await live(10_000);
  expect(states()).toEqual(["down", "up"]);
  expect(healths).toEqual(["up", "down", "up"]);
  await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
});

test("a queue that refuses looks among others that work is no connection that is down", async () => {
  const place = memoryPlace();
  const transport: Transport = wrapped(place.transport, (inner) => ({
    reserve: (queues, options) =>
      queues.includes("b") ? Promise.reject(forbidden()) : inner.reserve(queues, options),
  }));
  const relay = place.relay(jobs, { transport });
  const { states, troubles } = watched(place, relay);
  relay.handle("a", () => undefined);
  relay.handle("b", () => undefined);
  const work = running(relay, { poll: 100 });
  await place.runtime.advance(60_000);
  expect([states(), troubles()]).toEqual([[], ["b reserve down"]]);
  await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
});

test("records that a full store has no room for are told of their queue once, however many jobs are given back", async () => {
  const { place, faults, relay, states, troubles, live } = scene();
  const released = heard(relay.events, "released");
  let runs = 0;
  let fails = true;
  relay.handle("a", () => {
    // Not before the one before was given back.
    if (fails && runs++ % 100 === 0) throw new Error("x".repeat(2_000));
  });
  relay.handle("b", () => undefined);
  const work = running(relay, { backoff: fixed(1), lease: 5_000 });
  faults.settle = (one) => isAgain(one) ? full() : undefined;
  await live(30_000);
  expect(released.length).toBeGreaterThan(3);
  expect(new Set(released.map(({ reason }) => reason))).toEqual(new Set(["full"]));
  expect([states(), troubles()]).toEqual([[], ["a settle down"]]);
  faults.settle = undefined;
  await live(10_000);
  fails = false;
  await live(5_000);
  expect([states(), troubles()]).toEqual([[], ["a settle down", "a settle up"]]);
  await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
});

test("a queue whose store had no room for a moment is told to work again, though no other record was to be stored", async () => {
  const { place, faults, relay, troubles, live } = scene();
  let runs = 0;
  relay.handle("a", () => {
    if (runs++ === 0) throw new Error("The first run fails");
  });
  relay.handle("b", () => undefined);
  const work = running(relay, { backoff: fixed(1) });
  faults.settle = (one) => isAgain(one) ? full() : undefined;
  await relay.dispatch("a", 1);
  const released = heard(relay.events, "released");
  for (let ms = 0; released.length === 0 && ms < 60_000; ms += 10) await place.runtime.advance(10);
  faults.settle = undefined;
  await live(5_000);
  expect(troubles()).toEqual(["a settle down"]);
  await place.runtime.advance(60_000);
  await live(100);
  expect(troubles()).toEqual(["a settle down", "a settle up"]);
  await Promise.all([work.worker.stop(), place.runtime.advance(10_000)]);
});
