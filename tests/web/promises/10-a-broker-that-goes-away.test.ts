import { expect } from "vitest";
import {
  DeadlineExceeded,
  OutcomeUnknown,
  TooLargeError,
  TransportBusy,
  TransportError,
  TransportFull,
} from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { listen, reasonOf, TASK } from "../support/stage.ts";

promise(10, "a broker that goes away is waited for", (claim) => {
  claim(
    "a worker whose broker is away for ten minutes goes on within seconds of its return",
    async (stage) => {
      const relay = stage.relay(TASK);
      const other = stage.relay(TASK, { transport: await stage.client() });
      const handled: number[] = [];
      relay.handle("task", () => void handled.push(stage.runtime.now()));
      const running = stage.run(relay);
      await stage.runtime.settle();
      stage.line.cut();
      await other.dispatch("task");
      await stage.runtime.advance(600_000);
      expect(running.over).toBe(false);
      const back = stage.runtime.now();
      stage.line.mend();
      await stage.runtime.advance(5_000);
      expect(handled).toHaveLength(1);
      expect((handled[0] ?? Infinity) - back).toBeLessThanOrEqual(3_000);
    },
  );

  claim("it tells once that the broker went and once that it came back", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    relay.handle("task", () => undefined);
    stage.run(relay, { poll: 1_000 });
    for (let round = 0; round < 2; round++) {
      await stage.runtime.advance(2_000);
      stage.line.cut();
      await stage.runtime.advance(60_000);
      stage.line.mend();
      await stage.runtime.advance(5_000);
    }
    expect(told.of("connection").map(({ state }) => state)).toEqual(["down", "up", "down", "up"]);
    expect(told.of("connection")[0]?.error).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
    expect(told.names).not.toContain("error");
  });

  claim(
    "W32: it asks with growing pauses and jitter: soon at first, at least every 3 s later",
    async (stage) => {
      const relay = stage.relay(TASK);
      relay.handle("task", () => undefined);
      const times: number[] = [];
      stage.line.rig((verb) => {
        if (verb !== "reserve") return;
        times.push(stage.runtime.now());
        throw new TransportBusy("busy");
      });
      stage.run(relay);
      await stage.runtime.advance(60_000);
      const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
      expect(gaps[0]).toBeLessThanOrEqual(100);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(3_000);
      expect(Math.min(...gaps.slice(6))).toBeGreaterThanOrEqual(1_500);
      expect(new Set(gaps.slice(6)).size).toBeGreaterThan(1);
    },
  );

  claim(
    "a result that could not be settled while the broker was away is settled when it is back",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      const barrier = stage.barrier();
      relay.handle("task", () => barrier.opened);
      await relay.dispatch("task");
      stage.run(relay, { lease: 60_000 });
      await stage.runtime.settle();
      stage.line.cut();
      barrier.open();
      await stage.runtime.advance(20_000);
      expect(told.names).not.toContain("completed");
      stage.line.mend();
      await stage.runtime.advance(5_000);
      expect(told.of("completed")).toMatchObject([{ attempt: 1 }]);
      expect(told.names).not.toContain("stale");
      expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0 });
    },
  );

  claim(
    "W61: a settlement that the store will never take is given up, told, and its job comes back",
    async (stage) => {
      const relay = stage.relay(TASK);
      const told = listen(relay);
      const attempts: number[] = [];
      relay.handle("task", (_, { attempt }) => void attempts.push(attempt));
      stage.line.rig((verb) => {
        if (verb === "settle") throw new TooLargeError("a job", 9, 8);
      });
      await relay.dispatch("task");
      stage.run(relay);
      await stage.runtime.advance(20_000);
      expect(stage.line.count("settle")).toBe(5);
      expect(told.of("error")).toMatchObject([{ error: { code: "TOO_LARGE" } }]);
      stage.line.mend();
      await stage.runtime.advance(30_000);
      expect(attempts).toEqual([1, 1]);
      expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0 });
    },
  );

  claim("a handler that outlasts the absence keeps its job, if its lease does", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    relay.handle("task", () => stage.runtime.sleep(300_000));
    await relay.dispatch("task");
    stage.run(relay, { lease: 30_000, concurrency: 1 });
    await stage.runtime.settle();
    stage.line.cut();
    await stage.runtime.advance(15_000);
    stage.line.mend();
    await stage.runtime.advance(300_000);
    expect(told.of("completed")).toMatchObject([{ attempt: 1 }]);
    expect(told.names).not.toContain("stale");
  });

  for (
    const error of [
      new TransportBusy("busy"),
      new TransportFull("full"),
      new TransportError("TRANSPORT_READ_ONLY", "read-only"),
      new RangeError("too long for this store"),
    ]
  ) {
    claim(
      `a push that is refused with ${error.name} rejects with just that: nothing was stored`,
      async (stage) => {
        const relay = stage.relay(TASK);
        stage.line.cut(() => error);
        expect(await reasonOf(relay.dispatch("task"))).toBe(error);
        expect(await reasonOf(relay.dispatchMany([{ name: "task" }]))).toMatchObject({
          failures: [{ index: 0, error }],
        });
      },
    );
  }

  for (const error of [new DeadlineExceeded("push jobs", 10_000), new Error("ECONNRESET")]) {
    claim(
      `a push that ends with ${error.name} rejects with OutcomeUnknown and the id that was given`,
      async (stage) => {
        const relay = stage.relay(TASK);
        stage.line.cut(() => error);
        const unknown = await reasonOf(relay.dispatch("task", null, { id: "mine" }));
        expect(unknown).toBeInstanceOf(OutcomeUnknown);
        expect(unknown).toMatchObject({ code: "OUTCOME_UNKNOWN", id: "mine", cause: error });
        for (const atomic of [false, true]) {
          const bulk = await reasonOf(relay.dispatchMany([{ name: "task", id: "other" }], { atomic }));
          expect(bulk).toMatchObject({
            stored: 0,
            failures: [{ error: { code: "OUTCOME_UNKNOWN", id: "other" } }],
          });
        }
      },
    );
  }

  claim("the id of an unknown dispatch is told even where it was generated", async (stage) => {
    const relay = stage.relay(TASK);
    stage.line.cut(() => new Error("gone"));
    const unknown = await reasonOf(relay.dispatch("task"));
    expect(unknown).toMatchObject({ id: expect.stringMatching(/^\w{26}$/) });
  });

  claim("a push is never repeated by us, with or without an id", async (stage) => {
    const relay = stage.relay(TASK);
    stage.line.cut(() => new Error("gone"));
    await reasonOf(relay.dispatch("task"));
    await reasonOf(relay.dispatch("task", null, { id: "mine" }));
    await stage.runtime.advance(600_000);
    expect(stage.line.count("push")).toBe(2);
  });

  claim(
    "an unknown dispatch that is repeated with its id is stored once, whether it had been stored or not",
    async (stage) => {
      const relay = stage.relay(TASK);
      for (const [id, arrived] of [["stored", true], ["lost", false]] as const) {
        if (arrived) {
          const direct = await stage.client();
          const job = {
            queue: "default",
            id,
            name: "task",
            payload: new Uint8Array(),
            meta: "",
            idWindow: 120_000,
          };
          await direct.push([job], { deadline: 1_000 });
        }
        stage.line.cut(() => new Error("no answer"));
        expect(await reasonOf(relay.dispatch("task", null, { id }))).toBeInstanceOf(OutcomeUnknown);
        stage.line.mend();
        expect(await relay.dispatch("task", null, { id })).toEqual({
          id,
          status: arrived ? "duplicate" : "stored",
        });
      }
      expect(await relay.info()).toMatchObject({ waiting: 2 });
    },
  );

  claim("a dispatch that is aborted on its way rejects with OutcomeUnknown at once", async (stage) => {
    const relay = stage.relay(TASK);
    const hold = stage.barrier();
    stage.line.rig(() => hold.opened);
    const controller = new AbortController();
    const reason = reasonOf(relay.dispatch("task", null, { id: "mine", signal: controller.signal }));
    await stage.runtime.settle();
    controller.abort(new Error("no patience"));
    expect(await reason).toMatchObject({
      code: "OUTCOME_UNKNOWN",
      id: "mine",
      cause: { message: "no patience" },
    });
  });

  claim("each call is given the relay's callTimeout, 10 s by default, as its deadline", async (stage) => {
    const deadlines: number[] = [];
    const push: typeof stage.line.push = (jobs, call) => {
      deadlines.push(call.deadline);
      return stage.line.push(jobs, call);
    };
    await stage.relay(TASK, { transport: { ...stage.line, push } }).dispatch("task");
    const brief = stage.relay(TASK, { transport: { ...stage.line, push }, callTimeout: 250 });
    await brief.dispatch("task");
    await brief.dispatchMany([{ name: "task" }]);
    expect(deadlines).toEqual([10_000, 250, 250]);
  });

  claim("jobs of one tick share a push but no fate", async (stage) => {
    const relay = stage.relay(TASK);
    const push: typeof stage.line.push = async (jobs, call) => {
      const answers = await stage.line.push(jobs.slice(1), call);
      return [new TransportFull("just this one"), ...answers];
    };
    const other = stage.relay(TASK, { transport: { ...stage.line, push } });
    const [first, second] = await Promise.allSettled([other.dispatch("task"), other.dispatch("task")]);
    expect(first).toMatchObject({ status: "rejected", reason: { code: "TRANSPORT_FULL" } });
    expect(second).toMatchObject({ status: "fulfilled", value: { status: "stored" } });
    expect(stage.line.count("push")).toBe(1);
    expect(await relay.info()).toMatchObject({ waiting: 1 });
  });

  claim("a drain does not wait for a broker that is away: it rejects", async (stage) => {
    const relay = stage.relay(TASK);
    relay.handle("task", () => undefined);
    stage.line.cut();
    expect(await reasonOf(relay.drain())).toMatchObject({ code: "TRANSPORT_UNAVAILABLE" });
  });
});
