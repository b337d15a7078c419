/**
 * Each promise once through relays on NATS, by the real clock: a server of Go has no clock that a test could set. What
 * takes hours elsewhere takes a few seconds here.
 */
import { expect } from "vitest";
import {
  createRelay,
  deadLetter,
  DeadlineExceeded,
  fixed,
  InvalidPayloadError,
  OutcomeUnknown,
  type QueueInfo,
  type Transport,
  TransportError,
} from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { checked, door, free, heard, rejection, running, wrapped } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { testByClock } from "../../web/support/real_clock.ts";
import { type NatsOptions, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Child, spawnScript } from "../support/spawn.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";

const PATIENCE = 120_000;
/** Milliseconds in which what does not wait for a minute ends on a busy machine, too. */
const SOON = 30_000;
const HOLDS = new URL("./fixtures/holds.ts", import.meta.url);
const EMPTY: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
const jobs = {
  work: { schema: free<unknown>(), queue: "work" },
  told: { schema: free<number>(), queue: "told", topic: true },
} as const;
const byNumber = (a: unknown, b: unknown): number => Number(a) - Number(b);

/** Leases are of half a second and more: what stands in their way is no fault of the transport. */
const patient = testByClock(150);

/** A transport whose leases nobody can extend, as of a worker that is cut off while it works. */
function cutOff({ server, prefix }: Ground, ackWait: number): Transport {
  const transport = nats({ servers: server.url, prefix, ackWait });
  return wrapped(transport, () => ({ extend: () => new Promise(() => undefined) }));
}

describeOn(["nats"], `NATS keeps`, () => {
  const server = owned(() => startNats());

  function promise(title: string, check: (ground: Ground) => Promise<void>): void {
    patient.concurrent(`promise ${title}`, async () => {
      await using ground = groundOn(await server());
      await check(ground);
    }, PATIENCE);
  }

  /** On a server of its own. */
  function alone(title: string, check: (ground: Ground) => Promise<void>, options: NatsOptions = {}): void {
    patient.concurrent(`promise ${title}`, async () => {
      await using own = await startNats(options);
      await using ground = groundOn(own);
      await check(ground);
    }, PATIENCE);
  }

  alone("1: what a dispatch resolved for is run, though the server is killed", async (ground) => {
    const producer = ground.relay(jobs);
    await producer.dispatchMany(
      Array.from({ length: 50 }, (_, n) => ({ name: "work" as const, payload: n })),
    );
    await producer.dispatch("work", 50, { delay: 500 });
    await ground.server.kill();
    await ground.server.start();
    const consumer = ground.relay(jobs);
    const seen: unknown[] = [];
    consumer.handle("work", (payload) => void seen.push(payload));
    await worksUntil(consumer, "all ran", () => seen.length >= 51);
    expect(seen.toSorted(byNumber)).toEqual(Array.from({ length: 51 }, (_, n) => n));
    expect(await consumer.info("work")).toEqual(EMPTY);
  });

  promise(
    "2: what a topic gets before any group goes whole to the first, later ones begin with the next",
    async (ground) => {
      const relay = ground.relay(jobs);
      for (let n = 0; n < 5; n++) await relay.dispatch("told", n);
      const seen: string[] = [];
      relay.handle("told", (n) => void seen.push(`first ${n}`), { group: "first" });
      await relay.drain();
      relay.handle("told", (n) => void seen.push(`second ${n}`), { group: "second" });
      await relay.drain();
      await relay.dispatch("told", 5);
      await relay.drain();
      expect(seen.toSorted()).toEqual([...Array.from({ length: 6 }, (_, n) => `first ${n}`), "second 5"]);
    },
  );

  promise("3: who lost its lease changes nothing, and is told stale", async (ground) => {
    const slow = createRelay({ jobs, transport: cutOff(ground, 500), callTimeout: 3_000 });
    const stale = heard(slow.events, "stale");
    const { opened, open } = door();
    let slowRuns = 0;
    slow.handle("work", async () => {
      slowRuns++;
      await opened;
      return deadLetter({ reason: "late" });
    });
    const { id } = await slow.dispatch("work", "x");
    const worker = running(slow, { concurrency: 1, lease: 500 });
    await becomes("it runs", () => slowRuns === 1);
    const other = ground.relay(jobs, { ackWait: 500 });
    const runs: number[] = [];
    other.handle("work", (_, { attempt, job }) => void runs.push(attempt, job.lost));
    await worksUntil(other, "it ran elsewhere", () => runs.length > 0);
    open();
    await becomes("it is told", () => stale.length > 0);
    await worker.abort();
    await slow.close({ grace: 0 });
    expect(stale[0]).toMatchObject({ id });
    expect(runs).toEqual([1, 1]);
    expect(await other.info("work")).toEqual(EMPTY);
  });

  promise(
    "4: a job that is lost more than 'maxLost' times is dead before another handler has it",
    async (ground) => {
      const ackWait = 3_000;
      const relay = ground.relay(jobs, { ackWait });
      const holding = (): Child => spawnScript(HOLDS, [ground.server.url, ground.prefix, `${ackWait}`]);
      await relay.dispatch("work", "poison");
      await using first = holding();
      await first.until((line) => line === "began");
      // Where nobody waits when the lease is over, a server of 2.9 may deliver as if for the first time.
      await using second = holding();
      await second.until((line) => line === "ready");
      first.kill("SIGKILL");
      await first.exited;
      await second.until((line) => line === "began");
      second.kill("SIGKILL");
      await second.exited;
      let runs = 0;
      relay.handle("work", () => void runs++);
      const dead = async (): Promise<boolean> => (await relay.info("work")).timeout === 1;
      await worksUntil(relay, "it is dead", dead, { maxLost: 1 });
      expect(runs).toBe(0);
    },
  );

  promise(
    "5: waiting costs no slot, nothing runs before it is due, and what is due together runs in order",
    async (ground) => {
      const relay = ground.relay(jobs);
      const seen: unknown[] = [];
      const times: number[] = [];
      relay.handle("work", (payload, { attempt }) => {
        seen.push(payload);
        times.push(performance.now());
        if (payload === "fails" && attempt === 1) throw new Error("once");
      });
      const begun = performance.now();
      await relay.dispatch("work", "fails", { backoff: fixed(800) });
      await relay.dispatch("work", "next");
      const at = new Date(Date.now() + 3_000);
      for (const n of [1, 2, 3]) await relay.dispatch("work", n, { at });
      await worksUntil(relay, "all ran", () => seen.length === 6, { concurrency: 1 });
      expect(seen).toEqual(["fails", "next", "fails", 1, 2, 3]);
      const [failed = 0, , again = 0, due = 0] = times;
      expect(again - failed).toBeGreaterThanOrEqual(795);
      expect(due - begun).toBeGreaterThanOrEqual(2_900);
    },
  );

  promise(
    "6: 'maxAttempts' is all runs, by the dispatch before the definition before the worker",
    async (ground) => {
      const relay = ground.relay({
        work: { schema: free<unknown>(), queue: "work" },
        defined: { schema: free<unknown>(), queue: "work", maxAttempts: 2 },
      });
      const runs: Record<string, number[]> = {};
      const fails = (payload: unknown, { attempt }: { readonly attempt: number }): void => {
        (runs[String(payload)] ??= []).push(attempt);
        throw new Error("always");
      };
      relay.handle("work", fails);
      relay.handle("defined", fails);
      await relay.dispatch("work", "worker");
      await relay.dispatch("defined", "definition");
      await relay.dispatch("defined", "dispatch", { maxAttempts: 1 });
      const dead = async (): Promise<boolean> => (await relay.info("work")).failed === 3;
      await worksUntil(relay, "all are dead", dead, { maxRetry: 4, backoff: fixed(10) });
      expect(runs).toEqual({ worker: [1, 2, 3, 4], definition: [1, 2], dispatch: [1] });
    },
  );

  promise(
    "7: a run over its time is settled in 'timeout', though its handler ignores its signal",
    async (ground) => {
      const relay = ground.relay(jobs);
      const stuck = heard(relay.events, "stuck");
      const { opened, open } = door();
      let aborted: unknown;
      relay.handle("work", async (_, { signal }) => {
        signal.addEventListener("abort", () => aborted = signal.reason);
        await opened;
      });
      await relay.dispatch("work", "x", { timeout: 200, maxAttempts: 1 });
      const worker = running(relay, { abortGrace: 100, poll: 100 });
      await becomes("it is dead", async () => (await relay.info("work")).timeout === 1);
      open();
      await worker.abort();
      expect(aborted).toMatchObject({ name: "JobTimeout" });
      expect(stuck).toMatchObject([{ reason: "timeout" }]);
      expect(await relay.info("work")).toEqual({ ...EMPTY, timeout: 1 });
    },
  );

  promise(
    "8: bad input is refused with every issue, and a name that nobody knows here is left for others",
    async (ground) => {
      const strict = checked<unknown>((value) =>
        value === "good" ? [] : [{ message: "one", path: [] }, { message: "two", path: [] }]
      );
      const both = {
        work: { schema: strict, queue: "work" },
        other: { schema: free<number>(), queue: "work" },
      };
      const old = ground.relay(both);
      const reason = await rejection(old.dispatch("work", "bad"));
      expect(reason).toBeInstanceOf(InvalidPayloadError);
      expect(reason).toMatchObject({ issues: [{ message: "one" }, { message: "two" }] });
      expect(await old.info("work")).toEqual(EMPTY);
      const released = heard(old.events, "released");
      old.handle("work", () => {});
      await old.dispatch("other", 1);
      await worksUntil(old, "it is released", () => released.length > 0);
      expect(released).toMatchObject([{ reason: "unknown" }]);
      const next = ground.relay(both);
      const attempts: number[] = [];
      next.handle("other", (_, { attempt }) => void attempts.push(attempt));
      await worksUntil(next, "it ran", () => attempts.length > 0);
      expect(attempts).toEqual([1]);
    },
  );

  alone("9: an abort ends a wait and a run, burns no attempt, and leaves no connection", async (ground) => {
    const relay = ground.relay(jobs);
    const { opened, open } = door();
    const attempts: number[] = [];
    relay.handle("work", async (_, { attempt, signal }) => {
      attempts.push(attempt);
      if (attempts.length > 1) return;
      open();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    const idle = running(relay, { poll: 60_000 });
    await becomes(
      "it waits",
      async () => Number((await ground.server.monitor("/varz"))["connections"]) === 1,
    );
    const begun = performance.now();
    await idle.abort();
    expect(performance.now() - begun).toBeLessThan(SOON);
    await relay.dispatch("work", "x", { maxAttempts: 1 });
    const worker = running(relay);
    await opened;
    await worker.abort();
    await becomes("it is given back", async () => (await relay.info("work")).waiting === 1);
    await relay.drain();
    expect(attempts).toEqual([1, 1]);
    await relay.close();
    await becomes(
      "nobody is connected",
      async () => Number((await ground.server.monitor("/varz"))["connections"]) === 0,
    );
  });

  alone(
    "10: a server that goes away is told once and waited for, and dispatches reject in time",
    async (ground) => {
      const relay = ground.relay(jobs, {}, { callTimeout: 3_000 });
      const states = heard(relay.events, "connection");
      const seen: unknown[] = [];
      relay.handle("work", (payload) => void seen.push(payload));
      await relay.dispatch("work", "before");
      const worker = running(relay, { poll: 100 });
      await becomes("it ran", () => seen.length === 1);
      await ground.server.kill();
      await becomes("it is told", () => states.length === 1);
      const begun = performance.now();
      const reason = await rejection(relay.dispatch("work", "meanwhile"));
      expect(performance.now() - begun).toBeLessThan(SOON);
      expect(
        reason instanceof TransportError || reason instanceof OutcomeUnknown ||
          reason instanceof DeadlineExceeded,
      )
        .toBe(true);
      await ground.server.start();
      await becomes("it is back", () => states.length === 2);
      await relay.dispatch("work", "after");
      await becomes("it goes on", () => seen.includes("after"));
      await worker.abort();
      expect(states.map(({ state }) => state)).toEqual(["down", "up"]);
    },
  );

  promise("11: listeners that throw change no job's fate", async (ground) => {
    const relay = ground.relay(jobs);
    for (const type of ["dispatched", "started", "completed", "retrying", "failed"] as const) {
      relay.events.addEventListener(type, () => {
        throw new Error("an observer's own");
      });
    }
    const told = heard(relay.events, "error");
    const seen: unknown[] = [];
    relay.handle("work", (payload) => {
      seen.push(payload);
      if (payload === "fails") throw new Error("always");
    });
    await relay.dispatch("work", "fails", { maxAttempts: 2, backoff: fixed(10) });
    await relay.dispatch("work", "ends");
    const over = async (): Promise<boolean> => {
      const { failed, waiting, delayed, reserved } = await relay.info("work");
      return failed === 1 && waiting + delayed + reserved === 0;
    };
    await worksUntil(relay, "all is over", over);
    expect(seen.toSorted()).toEqual(["ends", "fails", "fails"]);
    expect(told.length).toBeGreaterThan(5);
  });

  alone("12: neither payloads nor passwords are in what errors and events say", async (ground) => {
    const url = ground.server.url.replace("nats://", "nats://boss:s3cret@");
    const lines: string[] = [];
    const relay = ground.relay(jobs, { servers: url }, { callTimeout: 3_000 });
    for (const type of ["error", "connection", "failed", "retrying"] as const) {
      relay.events.addEventListener(type, ({ detail }) => {
        const error = "error" in detail ? detail.error : undefined;
        lines.push(`${type} ${String(error)} ${String(error?.cause)}`);
      });
    }
    relay.handle("work", () => {
      throw new Error("always");
    });
    await relay.dispatch("work", "the payload", { maxAttempts: 2, backoff: fixed(10) });
    const dead = async (): Promise<boolean> => (await relay.info("work")).failed === 1;
    const worker = running(relay, { poll: 100 });
    await becomes("it is dead", dead);
    await ground.server.kill();
    await becomes("it is told", () => lines.some((line) => line.startsWith("connection")));
    lines.push(String(await rejection(relay.dispatch("work", "the payload"))));
    await worker.abort();
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.join("\n")).not.toMatch(/s3cret|the payload/);
  }, { config: "authorization { user: boss, password: s3cret }", auth: { user: "boss", pass: "s3cret" } });

  promise(
    "13: an id is one job's while it lives and for its window, and a dead job does not hold it",
    async (ground) => {
      const relay = ground.relay(jobs);
      const put = async (id: string, idWindow: number): Promise<string> =>
        (await relay.dispatch("work", "x", { id, idWindow, maxAttempts: 1 })).status;
      expect([await put("a", 0), await put("a", 0)]).toEqual(["stored", "duplicate"]);
      expect(await put("w", 60_000)).toBe("stored");
      const off = relay.handle("work", () => {});
      await relay.drain();
      expect([await put("a", 0), await put("w", 60_000)]).toEqual(["stored", "duplicate"]);
      off[Symbol.dispose]();
      relay.handle("work", () => {
        throw new Error("always");
      });
      await relay.drain();
      expect(await relay.info("work")).toMatchObject({ failed: 1, waiting: 0 });
      expect(await put("a", 0)).toBe("stored");
      expect(await relay.reload("work", "failed", { ids: ["a"] })).toEqual({ reloaded: 0, taken: 1 });
      expect(await relay.info("work")).toMatchObject({ failed: 1, waiting: 1 });
    },
  );
});
