import { describe, expect, test } from "vitest";
import type { Poll } from "../../../src/store/poll.ts";
import { createWaiters, type Waiters } from "../../../src/store/waiters.ts";
import { turn } from "../../../src/testing/turns.ts";
import { CLAIMS, type Make, type Scene, sceneOf, type WaitingClaim } from "./waiting.ts";

describe("waiters", () => {
  test.each(CLAIMS)("$name", ({ run }) => run(sceneOf(createWaiters)));

  test("a store is checked while a call sleeps, when one begins to, and not otherwise", async () => {
    const checks: number[] = [];
    let runs = (_: Scene): void => {};
    const scene = sceneOf(createWaiters, ({ runtime }) => ({
      check: {
        every: () => 1_000,
        first: true,
        run: () => void (checks.push(runtime.monotonic()), runs(scene)),
      },
    }));
    const { runtime, put, reserve } = scene;
    const start = runtime.monotonic();
    const waiting = reserve(["a"], { wait: 10_000 });
    await runtime.advance(1_500);
    runs = ({ waiters }) => (put("a"), waiters.notify(["a"]));
    await runtime.advance(500);
    expect(await waiting).toHaveLength(1);
    await runtime.advance(5_000);
    expect(checks.map((time) => time - start)).toEqual([0, 1_000, 2_000]);
  });

  test("a check that fails ends the calls that sleep, and the next call polls", async () => {
    const scene = sceneOf(createWaiters, () => ({
      check: { every: () => 1_000, run: () => Promise.reject(new Error("gone")) },
    }));
    const waiting = scene.reserve(["a"]);
    waiting.catch(() => undefined);
    await scene.runtime.advance(1_000);
    await expect(waiting).rejects.toThrow("gone");
    scene.polled.length = 0;
    scene.reserve(["a"]).catch(() => undefined);
    expect(scene.polled).toEqual([["a"]]);
  });
});

/** Waiters with some of their calls replaced. */
function changed(change: (inner: Waiters) => Partial<Waiters>): Make {
  return (runtime, store) => {
    const inner = createWaiters(runtime, store);
    return { ...inner, ...change(inner) };
  };
}

/** Waiters over a store whose polls are changed. */
function polling(change: (poll: Poll) => Partial<Poll>): Make {
  return (runtime, store) =>
    createWaiters(runtime, {
      ...store,
      poll: (poll) => {
        const { queues, options, waits, until, done, failed } = poll;
        const { over, missed } = poll;
        store.poll({ queues, options, waits, until, over, missed, done, failed, ...change(poll) });
      },
      giveBack: (deliveries) => store.giveBack?.(deliveries) ?? Promise.resolve(),
      leave: (queues, closing) => store.leave?.(queues, closing) ?? Promise.resolve(),
      pass: (queue) => store.pass?.(queue),
    });
}

/** Waiters that are wrong, and the claim that finds each. */
const MUTANTS: readonly { readonly fault: string; readonly found: string; readonly make: Make }[] = [
  {
    fault: "a notification has all queues polled",
    found: "a notification names its queue, and that queue alone is polled",
    make: changed((inner) => ({ notify: () => (inner.notifyAll(), true) })),
  },
  {
    fault: "a notification is dropped where no call sleeps",
    found: "a queue that no call waits for wakes none, and is polled by the next call that does",
    make: changed((inner) => ({
      notify: (queues) => [...queues].every(inner.isAwaited) && inner.notify(queues),
    })),
  },
  {
    fault: "the order of the call is forgotten",
    found: "queues are polled in the order of the call",
    make: changed((inner) => ({ reserve: (queues, options) => inner.reserve([...queues].sort(), options) })),
  },
  {
    fault: "as many calls as there are jobs are woken one by one",
    found: "as many calls are woken at once as a store says that there are jobs",
    make: changed((inner) => ({ notify: (queues) => inner.notify(queues) })),
  },
  {
    fault: "a call that takes fresh jobs alone is taken for one that takes all",
    found: "a call that wants nothing of what came back leaves it to one that does",
    make: changed((inner) => ({
      reserve: (queues, options) => inner.reserve(queues, { ...options, slots: Math.max(1, options.slots) }),
    })),
  },
  {
    fault: "the store's clock is taken for the process's",
    found: "a job that becomes due wakes a call at its instant by the store's clock, and no timer before",
    make: polling((poll) => ({ done: (found) => poll.done({ ...found, now: 0 }) })),
  },
  {
    fault: "instants that are told later are dropped",
    found: "an instant that a store tells of later counts, too",
    make: changed(() => ({ expect: () => {} })),
  },
  {
    fault: "instants of an empty answer are dropped",
    found: "an instant that came while no call slept is known to the next call",
    make: polling((poll) => ({ done: ({ deliveries, now }) => poll.done({ deliveries, now }) })),
  },
  {
    fault: "signals are not heard",
    found: "an abort rejects with its reason, and the next call gets what comes",
    make: changed((inner) => ({
      reserve: (queues, options) => inner.reserve(queues, { ...options, signal: undefined }),
    })),
  },
  {
    fault: "what comes too late is dropped",
    found:
      "what a poll brings for a call that was aborted goes back, and another call is not kept from its queue",
    make: polling((poll) => ({
      done: (found) => poll.done(poll.over ? { ...found, deliveries: [] } : found),
    })),
  },
  {
    fault: "a call is told of no failure",
    found: "a poll that fails ends its call alone",
    make: polling(() => ({ failed: () => {} })),
  },
  {
    fault: "a worker that is not in order is not waited for",
    found: "a poll after a sleep waits until its worker is in order, and the first does not",
    make: changed((inner) => ({
      reserve: (queues, options) => inner.reserve(queues, { ...options, ready: undefined }),
    })),
  },
  {
    fault: "no notification is passed on",
    found: "a notification that another process counts on is passed on where no call waits any more",
    make: changed((inner) => ({ called: (queues) => void inner.notify(queues) })),
  },
  {
    fault: "the end waits for nothing",
    found: "the end rejects all calls, and waits for what polls under way bring",
    make: changed((inner) => ({ close: (error) => (void inner.close(error), Promise.resolve()) })),
  },
];

/** Turns of the event loop after which a claim is taken to hang. */
const TURNS = 20_000;

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn();
}

async function tried(claim: WaitingClaim, make: Make): Promise<string> {
  try {
    await claim.run(sceneOf(make));
    return "holds";
  } catch {
    return "fails";
  }
}

describe("waiters that are wrong are found", () => {
  test.each(MUTANTS)("$fault", async ({ found, make }) => {
    const claim = CLAIMS.find(({ name }) => name === found);
    if (claim === undefined) throw new Error(`No claim is called '${found}'`);
    const seen = await Promise.race([
      tried(claim, make),
      // A claim that waits for ever has failed, too: many times the turns that a claim takes.
      turns(TURNS).then(() => "fails"),
    ]);
    expect(seen).toBe("fails");
  });
});
