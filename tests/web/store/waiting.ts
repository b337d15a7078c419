/** What reserve calls that wait are promised, over a store of the test's own, by the fake clock. */
import { expect } from "vitest";
import type { Delivery, ReserveOptions } from "../../../src/jobs/exchange.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import type { Poll, WaitersStore } from "../../../src/store/poll.ts";
import type { createWaiters, Waiters } from "../../../src/store/waiters.ts";

/** How the waiters under test are made. */
export type Make = typeof createWaiters;

/** A claim, and how it is tried. */
export interface WaitingClaim {
  readonly name: string;
  run(scene: Scene): void | Promise<void>;
}

/** A store that holds jobs by their queues, and answers a poll only when it is told to, or at once. */
export interface Scene {
  readonly runtime: FakeRuntime;
  readonly waiters: Waiters;
  /** The queues of each poll. */
  readonly polled: (readonly string[])[];
  readonly givenBack: Delivery[];
  readonly left: string[];
  readonly passed: string[];
  /** Polls that wait to be answered, while `hold` is set. */
  readonly held: Poll[];
  hold: boolean;
  /** When jobs are due that are not there yet, by the store's clock. */
  readonly due: Map<string, number>;
  put(queue: string, jobs?: number): void;
  reserve(queues: readonly string[], options?: Partial<ReserveOptions>): Promise<readonly Delivery[]>;
  answer(poll: Poll | undefined): void;
}

/** By how much the clock of the store is ahead of the process's. */
const AHEAD = 1_000_000;

/** Makes a scene. */
export function sceneOf(make: Make, more: (scene: Scene) => Partial<WaitersStore> = () => ({})): Scene {
  const runtime = createFakeRuntime();
  const jobs = new Map<string, number>();
  let number = 0;
  const now = (): number => runtime.monotonic() + AHEAD;
  const scene: Omit<Scene, "waiters"> & { waiters?: Waiters } = {
    runtime,
    polled: [],
    givenBack: [],
    left: [],
    passed: [],
    held: [],
    hold: false,
    due: new Map(),
    put: (queue, count = 1) => void jobs.set(queue, (jobs.get(queue) ?? 0) + count),
    reserve: (queues, options) =>
      made.reserve(queues, { limit: 1, slots: 1, lease: 30_000, wait: 60_000, deadline: 1_000, ...options }),
    answer(poll) {
      if (poll === undefined) throw new Error("No poll is under way");
      const deliveries: Delivery[] = [];
      for (const queue of poll.queues) {
        const at = scene.due.get(queue) ?? Infinity;
        if (at <= now() && scene.due.delete(queue)) scene.put(queue);
        for (; deliveries.length < poll.options.limit && (jobs.get(queue) ?? 0) > 0; scene.put(queue, -1)) {
          deliveries.push(deliveryOf(queue, ++number));
        }
      }
      poll.done({ deliveries, now: now(), next: deliveries.length > 0 ? undefined : nexts(poll) });
    },
  };
  const nexts = ({ queues }: Poll): readonly number[] =>
    queues.map((queue) => scene.due.get(queue) ?? Infinity);
  const store: WaitersStore = {
    poll(poll) {
      scene.polled.push(poll.queues);
      if (scene.hold) scene.held.push(poll);
      else scene.answer(poll);
    },
    giveBack: (deliveries) => Promise.resolve(void scene.givenBack.push(...deliveries)),
    leave: (queues) => Promise.resolve(void scene.left.push(...queues)),
    pass: (queue) => void scene.passed.push(queue),
  };
  const made = make(runtime, store);
  const whole: Scene = Object.assign(scene, { waiters: made });
  Object.assign(store, more(whole));
  return whole;
}

function deliveryOf(queue: string, number: number): Delivery {
  const payload = new Uint8Array();
  const id = `${number}`;
  return { queue, token: id, id, name: "n", payload, meta: "", lost: 0, reset: false, due: 0, lease: 30_000 };
}

/** What an answer has come to by now. */
function watch(answer: Promise<readonly Delivery[]>): { state: string } {
  const seen = { state: "waits" };
  answer.then(
    (deliveries) => seen.state = deliveries.map(({ queue }) => queue).join() || "empty",
    (error: unknown) => seen.state = String(error),
  );
  return seen;
}

const QUEUES = Array.from({ length: 1_000 }, (_, n) => `q${n}`);

/** The claims. */
export const CLAIMS: readonly WaitingClaim[] = [
  {
    name: "a notification names its queue, and that queue alone is polled",
    async run({ waiters, polled, put, reserve }) {
      const first = reserve(QUEUES);
      polled.length = 0;
      put("q7");
      expect(waiters.notify(["q7"])).toBe(true);
      expect(await first).toMatchObject([{ queue: "q7" }]);
      expect(polled).toEqual([["q7"]]);
      // The next call names them in turn, and knows of all others that they are empty.
      void reserve([...QUEUES.slice(500), ...QUEUES.slice(0, 500)]);
      expect(polled).toEqual([["q7"], ["q7"]]);
    },
  },
  {
    name: "a queue that no call waits for wakes none, and is polled by the next call that does",
    async run({ runtime, waiters, polled, put, reserve }) {
      await Promise.all([reserve(["a", "b"], { wait: 10 }), runtime.advance(10)]);
      polled.length = 0;
      put("b");
      expect(waiters.notify(["b"])).toBe(false);
      expect(await reserve(["a", "b"])).toMatchObject([{ queue: "b" }]);
      expect(polled).toEqual([["b"]]);
    },
  },
  {
    name: "queues are polled in the order of the call",
    async run({ waiters, polled, put, reserve }) {
      const waiting = reserve(["c", "a", "b"], { limit: 3 });
      polled.length = 0;
      for (const queue of ["a", "b", "c"]) put(queue);
      waiters.notify(["a", "b", "c"]);
      expect((await waiting).map(({ queue }) => queue)).toEqual(["c", "a", "b"]);
      expect(polled).toEqual([["c", "a", "b"]]);
    },
  },
  {
    name: "the call that has waited longest gets the job, and the next the next",
    async run({ waiters, put, reserve }) {
      const seen = [reserve(["a", "b"]), reserve(["b"]), reserve(["b", "c"])].map(watch);
      for (const job of [1, 2]) {
        put("b");
        waiters.notify(["b"]);
        await Promise.resolve();
        expect(seen.map(({ state }) => state)).toEqual(
          job === 1 ? ["b", "waits", "waits"] : ["b", "b", "waits"],
        );
      }
    },
  },
  {
    name: "many jobs of one notification wake one call after the other, for as long as there are jobs",
    async run({ runtime, waiters, put, reserve }) {
      const seen = [1, 2, 3].map(() => watch(reserve(["a"])));
      put("a", 2);
      waiters.notify(["a"]);
      await runtime.settle();
      expect(seen.map(({ state }) => state)).toEqual(["a", "a", "waits"]);
    },
  },
  {
    name: "as many calls are woken at once as a store says that there are jobs",
    run(scene) {
      const { waiters, held, reserve } = scene;
      for (const _ of [1, 2, 3]) reserve(["a"]).catch(() => undefined);
      scene.hold = true;
      waiters.notify(["a"], new Map([["a", 2]]));
      expect(held).toHaveLength(2);
    },
  },
  {
    name: "what comes during a poll is found by another one, at once",
    async run(scene) {
      const { waiters, held, put, reserve, answer, polled } = scene;
      scene.hold = true;
      const waiting = reserve(["a"]);
      const [first] = held.splice(0);
      waiters.notify(["a"]);
      expect(first?.missed).toBe(true);
      expect(polled).toHaveLength(1);
      answer(first);
      put("a");
      answer(held[0]);
      expect(await waiting).toHaveLength(1);
    },
  },
  {
    name: "a call that wants nothing of what came back leaves it to one that does",
    run(scene) {
      const { waiters, polled, reserve } = scene;
      reserve(["a"], { slots: 0 }).catch(() => undefined);
      reserve(["a"]).catch(() => undefined);
      polled.length = 0;
      waiters.notify(["a"]);
      expect(polled).toEqual([["a"], ["a"]]);
    },
  },
  {
    name: "a job that becomes due wakes a call at its instant by the store's clock, and no timer before",
    async run({ runtime, due, reserve, polled }) {
      due.set("b", runtime.monotonic() + AHEAD + 5_000);
      const seen = watch(reserve(QUEUES.concat("b")));
      polled.length = 0;
      await runtime.advance(4_999);
      expect([seen.state, polled]).toEqual(["waits", []]);
      await runtime.advance(1);
      expect([seen.state, polled]).toEqual(["b", [["b"]]]);
    },
  },
  {
    name: "an instant that a store tells of later counts, too",
    async run({ runtime, waiters, due, reserve }) {
      const seen = watch(reserve(["a", "b"]));
      due.set("b", runtime.monotonic() + AHEAD + 5_000);
      waiters.expect("b", runtime.monotonic() + AHEAD + 5_000);
      await runtime.advance(5_000);
      expect(seen.state).toBe("b");
    },
  },
  {
    name: "an instant that came while no call slept is known to the next call",
    async run({ runtime, due, reserve }) {
      due.set("a", runtime.monotonic() + AHEAD + 500);
      const empty = watch(reserve(["a"], { wait: 100 }));
      await runtime.advance(100);
      expect(empty.state).toBe("empty");
      await runtime.advance(500);
      expect(await reserve(["a"])).toHaveLength(1);
    },
  },
  {
    name: "a wait that is over answers with nothing, and leaves no timer",
    async run({ runtime, reserve }) {
      const seen = watch(reserve(["a"], { wait: 300 }));
      await runtime.advance(299);
      expect(seen.state).toBe("waits");
      await runtime.advance(1);
      expect(seen.state).toBe("empty");
    },
  },
  {
    name: "an abort rejects with its reason, and the next call gets what comes",
    async run({ runtime, waiters, put, reserve }) {
      const controller = new AbortController();
      const seen = [watch(reserve(["a"], { signal: controller.signal })), watch(reserve(["a"]))];
      controller.abort("enough");
      put("a");
      waiters.notify(["a"]);
      await runtime.settle();
      expect(seen.map(({ state }) => state)).toEqual(["enough", "a"]);
    },
  },
  {
    name:
      "what a poll brings for a call that was aborted goes back, and another call is not kept from its queue",
    async run(scene) {
      const { runtime, waiters, held, givenBack, put, reserve, answer } = scene;
      scene.hold = true;
      const controller = new AbortController();
      const seen = [watch(reserve(["a"], { signal: controller.signal }))];
      controller.abort("enough");
      put("a");
      answer(held.shift());
      await runtime.settle();
      expect([seen[0]?.state, givenBack.length]).toEqual(["enough", 1]);
      scene.hold = false;
      put("a");
      waiters.notify(["a"]);
      expect(await reserve(["a"])).toHaveLength(1);
    },
  },
  {
    name: "a call that was aborted during its poll sleeps on for none",
    async run(scene) {
      const { runtime, waiters, held, put, reserve, answer } = scene;
      scene.hold = true;
      const controller = new AbortController();
      void watch(reserve(["a"], { signal: controller.signal }));
      controller.abort("enough");
      answer(held.shift());
      scene.hold = false;
      const second = watch(reserve(["a"]));
      put("a");
      waiters.notify(["a"]);
      await runtime.settle();
      expect([second.state, runtime.sleepers > 1]).toEqual(["a", false]);
    },
  },
  {
    name: "a poll that fails ends its call alone",
    async run(scene) {
      const { runtime, waiters, held, reserve } = scene;
      scene.hold = true;
      const first = watch(reserve(["a"]));
      held.shift()?.failed("broken");
      scene.hold = false;
      const second = watch(reserve(["a"]));
      await runtime.settle();
      expect([first.state, second.state]).toEqual(["broken", "waits"]);
      waiters.fail("a", "lost");
      await runtime.settle();
      expect(second.state).toBe("lost");
    },
  },
  {
    name: "a poll after a sleep waits until its worker is in order, and the first does not",
    async run({ runtime, waiters, put, polled, reserve }) {
      const { promise, resolve } = Promise.withResolvers<void>();
      let order: Promise<void> | undefined = promise;
      const waiting = watch(reserve(["a"], { ready: () => order }));
      put("a");
      waiters.notify(["a"]);
      await runtime.settle();
      expect([waiting.state, polled.length]).toEqual(["waits", 1]);
      order = undefined;
      resolve();
      await runtime.settle();
      expect(waiting.state).toBe("a");
    },
  },
  {
    name: "a notification that another process counts on is passed on where no call waits any more",
    async run({ runtime, waiters, passed, reserve }) {
      await Promise.all([reserve(["a", "b"], { wait: 10 }), runtime.advance(10)]);
      expect(waiters.isAwaited("a")).toBe(false);
      waiters.called(["a"]);
      expect(passed).toEqual(["a"]);
    },
  },
  {
    name: "queues are left when no call has waited for them for some seconds",
    async run({ runtime, left, reserve }) {
      const waiting = reserve(["a"], { wait: 10_000 });
      await Promise.all([reserve(["a", "b"], { wait: 10 }), runtime.advance(5_000)]);
      expect(left).toEqual(["b"]);
      await runtime.advance(20_000);
      expect([await waiting, left.sort(), runtime.sleepers]).toEqual([[], ["a", "b"], 0]);
    },
  },
  {
    name: "the end rejects all calls, and waits for what polls under way bring",
    async run(scene) {
      const { runtime, waiters, held, givenBack, put, reserve, answer } = scene;
      const first = watch(reserve(["a"]));
      scene.hold = true;
      const second = watch(reserve(["b"]));
      let closed = false;
      void waiters.close("closed").then(() => closed = true);
      await runtime.settle();
      expect([first.state, second.state, closed]).toEqual(["closed", "closed", false]);
      put("b");
      answer(held[0]);
      await runtime.settle();
      expect([closed, givenBack.length, runtime.sleepers]).toEqual([true, 1, 0]);
      expect(await reserve(["a"]).catch((error: unknown) => error)).toBe("closed");
    },
  },
];
