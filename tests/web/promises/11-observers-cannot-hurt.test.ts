import { afterEach, beforeEach, expect, vi } from "vitest";
import { after, type EventName, fixed, type Jobs, type Relay, reschedule } from "../../../mod.ts";
import { promise } from "../support/promises.ts";
import { EVENTS, listen, type Stage, TASK } from "../support/stage.ts";

/** Listeners that do harm. */
const HARMFUL: readonly [string, (event: Event) => unknown][] = [
  ["throws", () => {
    throw new Error("a listener's own");
  }],
  ["rejects with no error", () => Promise.reject(undefined)],
  ["rejects", () => Promise.reject(new Error("a listener's own"))],
  ["stops the event", (event) => event.stopImmediatePropagation()],
  ["writes to what it is told", (event) => scribble((event as CustomEvent<object>).detail)],
];

/** Sets whatever can be set to something else. */
function scribble(value: object): void {
  for (const key of Reflect.ownKeys(value)) {
    const inner: unknown = Reflect.get(value, key);
    if (inner instanceof Error) continue;
    if (typeof inner === "object" && inner !== null) scribble(inner);
    else Reflect.set(value, key, typeof inner === "number" ? 9_999_999 : "scribbled");
  }
}

/** What becomes of jobs of every kind, with and without somebody who listens. */
async function history(stage: Stage, queue: string, harm: (relay: Pick<Relay<Jobs>, "events">) => void) {
  const relay = stage.relay({ task: { ...TASK.task, queue } });
  harm(relay);
  const runs: string[] = [];
  const barrier = stage.barrier();
  relay.handle("task", async (payload, { attempt, job }) => {
    runs.push(`${payload} ${attempt} ${JSON.stringify(job.headers)}`);
    if (payload === "fail") throw new Error("no");
    if (payload === "again" && runs.filter((run) => run.startsWith("again")).length === 1) {
      return reschedule(after(1_000));
    }
    if (payload === "gone") await relay.remove(queue, "reserved", { ids: [job.id] });
    if (payload === "stuck" && attempt === 1) await barrier.opened;
    return undefined;
  });
  const options = { backoff: fixed(2_000, { jitter: 0 }), maxAttempts: 2, headers: { a: "b" } };
  for (const payload of ["fine", "fail", "again", "gone", "stuck"]) {
    await relay.dispatch("task", payload, { ...options, ...(payload === "stuck" ? { timeout: 3_000 } : {}) });
  }
  await relay.dispatch("task", "fine", { id: "same" });
  await relay.dispatch("task", "fine", { id: "same" });
  await stage.put({ queue, id: "strange", name: "strange" });
  await stage.put({ queue, id: "broken", meta: "{" });
  await stage.put({ queue, id: "lost", payload: new TextEncoder().encode(`"lost"`) });
  const running = stage.run(relay, { poll: 1_000, unknownFor: 5_000, queues: [queue], abortGrace: 1_000 });
  await stage.runtime.advance(10_000);
  stage.line.cut();
  await stage.runtime.advance(5_000);
  stage.line.mend();
  await stage.runtime.advance(30_000);
  barrier.open();
  await stage.runtime.advance(5_000);
  running.abort();
  await stage.within(running.done, 60_000);
  const { waiting, delayed, reserved, failed, timeout } = await relay.info(queue);
  return { runs, counts: { waiting, delayed, reserved, failed, timeout } };
}

promise(11, "observers cannot hurt", (claim) => {
  const report = vi.fn();
  beforeEach(() => void vi.spyOn(console, "error").mockImplementation(report));
  afterEach(() => {
    vi.restoreAllMocks();
    report.mockClear();
  });

  for (const [what, listener] of HARMFUL) {
    claim(`W92: a listener of every event that ${what} changes no job's fate`, async (stage) => {
      const undisturbed = await history(stage, "calm", () => undefined);
      const heard = new Set<EventName>();
      const disturbed = await history(stage, "harm", ({ events }) => {
        for (const name of EVENTS) {
          events.addEventListener(name, (event) => {
            heard.add(name);
            return listener(event);
          });
        }
      });
      expect(disturbed).toEqual(undisturbed);
      expect(undisturbed.counts).toMatchObject({ failed: 3, reserved: 0 });
      for (
        const name of ["dispatched", "started", "completed", "retrying", "failed", "rescheduled"] as const
      ) {
        expect(heard).toContain(name);
      }
      for (const name of ["released", "stale", "stuck", "idle", "connection"] as const) {
        expect(heard).toContain(name);
      }
    });
  }

  claim("a listener of 'lost' that throws does not keep the job from running", async (stage) => {
    const relay = stage.relay(TASK);
    const handled: unknown[] = [];
    relay.handle("task", (payload) => void handled.push(payload));
    relay.events.addEventListener("lost", () => {
      throw new Error("no");
    });
    await relay.dispatch("task", 1);
    await stage.line.reserve(["default"], { limit: 1, slots: 1, lease: 1_000, wait: 0, deadline: 1_000 });
    await stage.runtime.advance(1_000);
    await relay.drain();
    expect(handled).toEqual([1]);
  });

  claim("a failing listener is told to the listeners of 'error', with the event's name", async (stage) => {
    const relay = stage.relay(TASK);
    const told = listen(relay);
    relay.handle("task", () => undefined);
    relay.events.addEventListener("completed", () => {
      throw new Error("at once");
    });
    relay.events.addEventListener("started", () => Promise.reject(new Error("later")));
    await relay.dispatch("task");
    await relay.drain();
    await stage.runtime.settle();
    const errors = told.of("error").map(({ error, during }) => `${during}: ${error.message}`);
    expect(errors.sort()).toEqual(["a listener of 'completed': at once", "a listener of 'started': later"]);
    expect(report).not.toHaveBeenCalled();
  });

  claim("where nobody listens to 'error' a failing listener is told on the console", async (stage) => {
    const runtime = { ...stage.runtime, print: report };
    const relay = stage.relay(TASK, { runtime });
    relay.handle("task", () => undefined);
    relay.events.addEventListener("completed", () => {
      throw new Error("mine");
    });
    await relay.dispatch("task");
    await relay.drain();
    expect(report).toHaveBeenCalledTimes(1);
    expect(report.mock.calls[0]?.[1]).toContain("a listener of 'completed': mine");
  });

  claim("a failing listener of 'error' is told on the console", async (stage) => {
    const runtime = { ...stage.runtime, print: report };
    const relay = stage.relay(TASK, { runtime });
    relay.events.addEventListener("error", () => {
      throw new Error("mine");
    });
    await relay.drain();
    expect(report).toHaveBeenCalledTimes(1);
    expect(report.mock.calls[0]?.[1]).toContain("a listener of 'error' failed: mine");
  });

  claim("a listener that throws does not keep the next one from hearing", async (stage) => {
    const relay = stage.relay(TASK);
    const heard: string[] = [];
    relay.handle("task", () => undefined);
    relay.events.addEventListener("completed", () => {
      throw new Error("mine");
    });
    relay.events.addEventListener("completed", () => void heard.push("second"));
    await relay.dispatch("task");
    await relay.drain();
    expect(heard).toEqual(["second"]);
  });

  claim("a listener that was removed is not called, guarded or not", async (stage) => {
    const relay = stage.relay(TASK);
    const heard: string[] = [];
    const listener = (): void => void heard.push("x");
    relay.events.addEventListener("dispatched", listener);
    await relay.dispatch("task");
    relay.events.removeEventListener("dispatched", listener);
    relay.events.removeEventListener("dispatched", () => undefined);
    await relay.dispatch("task");
    expect(heard).toEqual(["x"]);
  });

  claim(
    "a listener that stops the worker from inside an event stops it like any other caller",
    async (stage) => {
      const relay = stage.relay(TASK);
      relay.handle("task", () => undefined);
      const running = stage.run(relay, { concurrency: 1 });
      relay.events.addEventListener("started", () => void running.worker.stop());
      for (let i = 0; i < 3; i++) await relay.dispatch("task");
      await stage.runtime.settle();
      expect(running.over).toBe(true);
      expect((await relay.info()).reserved).toBe(0);
    },
  );
});
