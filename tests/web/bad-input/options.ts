/** Wrong options of every call: a typed error that names the option and what is wanted, and nothing has begun. */
import { expect, it } from "vitest";
import {
  createRelay,
  deadLetter,
  every,
  exponential,
  fixed,
  linear,
  RelayClosed,
  reschedule,
  retry,
  type WorkerOptions,
} from "../../../mod.ts";
import { free, rejection, running, thrown } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = { job: free<unknown>() };
const NUMBERS = [-1, Number.NaN, Infinity, -Infinity, "5", null, {}, [], 5n, Symbol("five")];
/** What is no number of this option, beside the zeros that some allow. */
const wrongFor = (option: string): unknown[] => {
  const zero = [
    "idWindow",
    "delay",
    "grace",
    "abortGrace",
    "unknownFor",
    "budget",
    "maxLost",
    "prefetch",
    "at",
  ];
  const negative = ["delay", "at"];
  return [...NUMBERS, ...(zero.includes(option) ? [] : [0])].filter((value) =>
    !(value === -1 && negative.includes(option))
  );
};

/** Each wrong value must be refused by an error that names the option; answers what was wrong with the errors. */
async function refusals(option: string, attempt: (value: unknown) => unknown): Promise<string[]> {
  const lenient: string[] = [];
  for (const value of wrongFor(option)) {
    const error = await rejection((async () => await attempt(value))()).catch(() => undefined);
    const named = error?.message.includes(`'${option}'`) && error.message.includes("must be");
    const typed = error instanceof TypeError || error instanceof RangeError;
    if (!named || !typed) lenient.push(`${option}: ${String(value)} gave ${String(error)}`);
  }
  return lenient;
}

type Loose = (...rest: unknown[]) => Promise<unknown>;

export function options(open: OpenPlace): void {
  it.each(["idWindow", "delay", "at", "maxAttempts", "timeout"])(
    "dispatch refuses every '%s' that is none",
    async (option) => {
      const relay = open().relay(jobs);
      const dispatch = relay.dispatch as Loose;
      const id = option === "idWindow" ? { id: "a" } : {};
      expect(await refusals(option, (value) => dispatch("job", 1, { ...id, [option]: value }))).toEqual([]);
      expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0 });
    },
  );

  it.each(["maxAttempts", "timeout"])("a definition refuses every '%s' that is none", async (option) => {
    const place = open();
    const define = (value: unknown): unknown => place.relay({ job: { schema: free(), [option]: value } });
    expect(await refusals(option, define)).toEqual([]);
  });

  const worker = [
    ...[
      "concurrency",
      "poll",
      "maxRetry",
      "lease",
      "grace",
      "abortGrace",
      "maxLost",
      "unknownFor",
      "prefetch",
    ],
  ];
  it.each(worker)("worker, update, run and drain refuse every '%s' that is none", async (option) => {
    const relay = open().relay(jobs);
    const one = relay.worker();
    const loose = (value: unknown): WorkerOptions => ({ [option]: value });
    expect([
      ...await refusals(option, (value) => relay.worker(loose(value))),
      ...await refusals(option, (value) => one.update(loose(value))),
      ...await refusals(option, (value) => relay.run(loose(value))),
      ...await refusals(option, (value) => relay.drain(loose(value))),
    ]).toEqual([]);
  });

  it("stop, close, drain, list and createRelay refuse every number that is none", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const one = relay.worker();
    const [stop, close, drain, list] = [one.stop, relay.close, relay.drain, relay.list] as Loose[];
    const make = (options: object): unknown => place.relay(jobs, options);
    expect([
      ...await refusals("grace", (grace) => stop?.({ grace })),
      ...await refusals("grace", (grace) => close?.({ grace })),
      ...await refusals("limit", (limit) => drain?.({ limit })),
      ...await refusals("budget", (budget) => drain?.({ budget })),
      ...await refusals("limit", (limit) => list?.("default", "waiting", { limit })),
      ...await refusals("maxPayload", (maxPayload) => make({ maxPayload })),
      ...await refusals("callTimeout", (callTimeout) => make({ callTimeout })),
      ...await refusals("maxPending", (maxPending) => make({ maxPending })),
    ]).toEqual([]);
    expect(thrown(() => make({ transport: null })).message).toContain("'transport' must be a transport");
    expect(thrown(() => make({ transport: Promise.reject(new Error("no")) })).message).toContain("await it");
    expect(thrown(() => make({ codecs: "json" })).message).toContain("'codecs' must be a list");
    expect(thrown(() => make({ requestId: "r" })).message).toContain("'requestId' must be a function");
    // A close that was refused has closed nothing.
    await relay.dispatch("job", 1);
    expect(await relay.info()).toMatchObject({ waiting: 1 });
  });

  it("backoffs refuse every number that is none, where they are made and where they are given", async () => {
    const relay = open().relay(jobs);
    const dispatch = relay.dispatch as Loose;
    const policy = { type: "exponential", base: 1, max: 1_000, jitter: 0 };
    const wrong = ["base", "max", "jitter"].flatMap((option) =>
      [-1, Number.NaN, Infinity, "5", null, 5n].map((value) => ({ ...policy, [option]: value }))
    );
    for (const backoff of [...wrong, { ...policy, type: "nope" }, "exponential", 5, null, []]) {
      const errors = [
        await rejection(dispatch("job", 1, { backoff })),
        thrown(() => relay.worker(Object({ backoff }))),
        thrown(() => createRelay({ jobs: { job: Object({ schema: free(), backoff }) } })),
      ];
      for (const error of errors) expect(error.message).toMatch(/'(base|max|jitter|type|backoff)' must/);
    }
    expect((await rejection(dispatch("job", 1, { backoff: () => 5 }))).message).toContain("that can travel");
    for (const make of [exponential, fixed, linear]) {
      expect(thrown(() => make(-1)).message).toContain("'base' must be");
      expect(thrown(() => make(1, { jitter: 2 })).message).toContain("'jitter' must be");
    }
    expect(await relay.info()).toMatchObject({ waiting: 0 });
  });

  it("options that do not exist are refused by their names, by every call", async () => {
    const place = open();
    const relay = place.relay(jobs);
    const bad = { retries: 3 };
    const named = "there is no option 'retries'";
    const calls: (() => unknown)[] = [
      () => (relay.dispatch as Loose)("job", 1, bad),
      () => (relay.dispatchMany as Loose)([{ name: "job" }], bad),
      () => (relay.handle as unknown as Loose)("job", () => undefined, bad),
      () => (relay.run as Loose)(bad),
      () => (relay.drain as Loose)(bad),
      () => (relay.close as Loose)(bad),
      () => (relay.info as Loose)("default", bad),
      () => (relay.queues as Loose)(bad),
      () => (relay.list as Loose)("default", "failed", bad),
      () => (relay.get as Loose)("default", "id", bad),
      () => (relay.reload as Loose)("default", "failed", "all", bad),
      () => (relay.remove as Loose)("default", "failed", "all", bad),
      () => (relay.remove as Loose)("default", "failed", bad),
      () => relay.worker(Object(bad)),
      () => relay.worker().update(Object(bad)),
      () => relay.worker().run(Object(bad)),
      () => relay.worker().stop(Object(bad)),
      () => place.relay(jobs, Object(bad)),
      () => place.relay({ job: Object({ schema: free(), ...bad }) }),
    ];
    for (const call of calls) {
      const error = await rejection((async () => await call())());
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toContain(named);
    }
    const many = await rejection((relay.dispatchMany as Loose)([{ name: "job", payload: 1, ...bad }]));
    expect(many.message).toContain(named);
    expect(await relay.info()).toMatchObject({ waiting: 0 });
  });

  it("outcomes and backoffs refuse options that do not exist, and what is no options at all", () => {
    const makers: (readonly [string, (options: object) => unknown])[] = [
      ["retry a job", retry],
      ["bury a job", deadLetter],
      ["reschedule a job", (options) => reschedule(every(1), options)],
      ["make the backoff 'exponential'", (options) => exponential(1, options)],
      ["make the backoff 'linear'", (options) => linear(1, options)],
      ["make the backoff 'fixed'", (options) => fixed(1, options)],
    ];
    for (const [action, make] of makers) {
      expect(thrown(() => make({ dely: 5 })).message).toContain(
        `Cannot ${action} as there is no option 'dely': `,
      );
      for (const none of [null, 5, "gone"]) {
        expect(thrown(() => make(none as unknown as object)).message).toContain(
          `Cannot ${action} as its options must be an object: `,
        );
      }
    }
  });

  it("what is no options at all is refused by run, drain and worker as by every other call", async () => {
    const relay = open().relay(jobs);
    for (const none of [null, 5, "fast"] as unknown as WorkerOptions[]) {
      for (const call of [() => relay.run(none), () => relay.drain(none), () => relay.worker(none)]) {
        const error = await rejection((async () => await call())());
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toContain("its options must be an object: current value is ");
      }
    }
  });

  it("a message shows a text in quotes, as '4' looks like the number that was wanted", async () => {
    const relay = open().relay(jobs);
    const messages = [
      thrown(() => relay.worker(Object({ concurrency: "4" }))),
      await rejection((relay.dispatch as Loose)("job", 1, { delay: "5" })),
      thrown(() => relay.worker(Object({ queues: "mail" }))),
      thrown(() => createRelay(Object({ jobs: { job: "schema" } }))),
    ].map(({ message }) => message.replace(/^.*current value is /, ""));
    expect(messages).toEqual(['"4"', '"5"', '"mail"', '"schema"']);
    expect(thrown(() => relay.worker({ queues: [] })).message).toContain("current value is empty");
    expect(thrown(() => createRelay(Object({ jobs: { job: 5 } }))).message).toContain("current value is 5");
  });

  it("a signal that is none is refused before anything begins", async () => {
    const { runtime, ...place } = open();
    const relay = place.relay(jobs);
    relay.handle("job", () => undefined);
    const options = { signal: Object({ aborted: false }) };
    const calls: (() => Promise<unknown>)[] = [
      () => relay.dispatch("job", 1, options),
      () => relay.dispatchMany([{ name: "job", payload: 1 }], options),
      () => relay.run(options),
      () => relay.drain(options),
      () => relay.worker().run(options),
      () => relay.info("default", options),
    ];
    for (const call of calls) {
      expect((await rejection(call())).message).toContain("'signal' must be an AbortSignal");
    }
    await runtime.settle();
    expect(runtime.sleepers).toBe(0);
    expect(await relay.info()).toMatchObject({ waiting: 0 });
  });

  const queues = ["", " ", "a\nb", "a\0b", "\ud800", "x".repeat(256), "ü".repeat(128), 5, null, {}];
  it("queue names that no transport could keep are refused wherever one is said", async () => {
    const relay = open().relay(jobs);
    for (const queue of queues.filter((name) => name !== " ")) {
      const errors = [
        thrown(() => createRelay({ jobs: { job: Object({ schema: free(), queue }) } })),
        thrown(() => relay.worker({ queues: Object([queue]) })),
        await rejection((relay.info as Loose)(queue)),
        await rejection((relay.list as Loose)(queue, "failed")),
        await rejection((relay.get as Loose)(queue, "id")),
        await rejection((relay.remove as Loose)(queue, "failed", "all")),
      ];
      for (const error of errors) expect(error.message).toContain("name of a queue must");
      expect(await rejection((relay.dispatch as Loose)("job", 1, { queue }))).toMatchObject({
        code: "UNKNOWN_QUEUE",
      });
    }
    for (const list of [[], "default", 5, null]) {
      expect(thrown(() => relay.worker({ queues: Object(list) })).message).toContain("'queues' must be");
    }
  });

  it("odd queue names that can be kept are kept as they are", async () => {
    const place = open();
    for (
      const queue of [" ", "a b", "ä:{x}.*>", "😀", "x".repeat(255), "__proto__", "constructor", "'; DROP"]
    ) {
      const relay = place.relay({ job: { schema: free<unknown>(), queue } });
      const seen: unknown[] = [];
      relay.handle("job", (payload) => seen.push(payload));
      await relay.dispatch("job", queue);
      expect(await relay.queues()).toContain(queue);
      await relay.drain();
      expect(seen).toEqual([queue]);
    }
  });

  it("selections, channels and cursors that are none are refused", async () => {
    const relay = open().relay(jobs);
    const [reload, remove, list, get] = [relay.reload, relay.remove, relay.list, relay.get] as Loose[];
    for (
      const select of [5, null, "none", {}, { ids: "abc" }, { ids: [5] }, { name: 5 }, { reason: "" }, {
        before: "x",
      }]
    ) {
      expect(await rejection(reload?.("default", "failed", select) ?? Promise.resolve())).toBeInstanceOf(
        Error,
      );
      const error = await rejection(remove?.("default", "failed", select) ?? Promise.resolve());
      expect(error.message).toContain("Cannot remove jobs");
    }
    expect((await rejection(list?.("default", "done") ?? Promise.resolve())).message).toContain(
      "'channel' must",
    );
    expect((await rejection(get?.("default", "") ?? Promise.resolve())).message).toContain("'id' must");
    for (const cursor of ["nonsense", "", 5, null, {}]) {
      expect((await rejection(list?.("default", "failed", { cursor }) ?? Promise.resolve())).message)
        .toContain("cursor");
    }
  });

  it("a second run is refused while the first goes on", async () => {
    const relay = open().relay(jobs);
    const { done, worker: one, abort } = running(relay);
    expect((await rejection(one.run())).message).toContain("running already");
    await abort();
    await done;
  });

  it("every call after close gives the same typed error", async () => {
    const relay = open().relay(jobs);
    const one = relay.worker();
    await relay.close();
    const calls: (() => unknown)[] = [
      () => relay.dispatch("job", 1),
      () => relay.dispatchMany([{ name: "job", payload: 1 }]),
      () => relay.handle("job", () => undefined),
      () => relay.run(),
      () => relay.worker(),
      () => one.run(),
      () => relay.drain(),
      () => relay.info(),
      () => relay.queues(),
      () => relay.list("default", "failed"),
      () => relay.get("default", "id"),
      () => relay.reload("default", "failed", "all"),
      () => relay.remove("default", "failed", "all"),
    ];
    for (const call of calls) {
      const error = await rejection((async () => await call())());
      expect(error).toBeInstanceOf(RelayClosed);
      expect(error).toMatchObject({ code: "RELAY_CLOSED" });
    }
    await one.stop();
    await relay.close();
  });
}
