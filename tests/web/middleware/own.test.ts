/** Relevo's own middlewares: passed by their parts in front of a list, and by their functions behind others. */
import { expect, test } from "vitest";
import {
  after,
  createRelay,
  deadLetter,
  fixed,
  type HandlerContext,
  type Middleware,
  reschedule,
  retry,
} from "../../../mod.ts";
import { recovery, requestId } from "../../../src/middleware/mod.ts";
import { callWithin } from "../../../src/sides/own.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { type EventName } from "../../../src/events/events.ts";
import { thrown } from "../support/kit.ts";
import { jobs } from "./support.ts";

const passing: Middleware = { run: (next) => () => next() };
/** Looks at the outcome, and gives it back as it was. */
const looking: Middleware = { run: (next) => async () => await next() };

/** What handlers do; each is to be judged alike, whichever way the middlewares around it are passed. */
const HANDLERS: Readonly<Record<string, (context: HandlerContext) => unknown>> = {
  "ends well": () => undefined,
  "ends well later": async () => await Promise.resolve(),
  "gives a value": () => ({ sent: 1 }),
  "throws": () => {
    throw new RangeError("no");
  },
  "rejects": () => Promise.reject(new RangeError("no later")),
  "rejects with nothing": () => Promise.reject(undefined),
  "asks for a retry": () => retry({ delay: 5, error: new Error("again") }),
  "gives up": () => deadLetter({ reason: "refused" }),
  "runs again": () => reschedule(after(600_000)),
  "returns an error": () => new Error("a value, not a throw"),
  "returns a maker": () => retry,
};

const FRONTS: Readonly<Record<string, readonly Middleware[]>> = {
  "in front": [],
  "behind one that passes on": [passing],
  "behind one that looks": [looking],
};

interface Told {
  readonly job?: unknown;
  readonly error?: Error;
  readonly reason?: string;
  readonly delay?: number;
}

/** The events of one run, without what differs from run to run. */
async function eventsOf(
  use: readonly Middleware[],
  handler: (context: HandlerContext) => unknown,
): Promise<unknown> {
  const relay = createRelay({ jobs, runtime: createFakeRuntime(), use, log: false });
  const told: unknown[] = [];
  for (
    const type of [
      "completed",
      "retrying",
      "failed",
      "rescheduled",
      "released",
      "error",
    ] satisfies EventName[]
  ) {
    relay.events.addEventListener(type, ({ detail }) => {
      const { error, reason, delay }: Told = { ...detail };
      told.push([type, error?.name, error?.message, reason, delay]);
    });
  }
  relay.handle("job", (_, context) => handler(context) as undefined);
  await relay.dispatch("job", "x", { backoff: fixed(7) });
  await relay.drain();
  await relay.close();
  return told;
}

test.each(Object.keys(HANDLERS))(
  "a handler that %s ends alike whichever way our middlewares are passed",
  async (how) => {
    const handler = HANDLERS[how] ?? (() => undefined);
    for (
      const own of [[recovery({ onPanic: "retry" })], [recovery()], [
        requestId(),
        recovery(),
      ]] as Middleware[][]
    ) {
      const ends = await Promise.all(
        Object.values(FRONTS).map((front) => eventsOf([...front, ...own], handler)),
      );
      expect(ends).toEqual([ends[0], ends[0], ends[0]]);
      expect(ends[0]).toHaveLength(1);
    }
  },
);

test("without a middleware that gives another outcome a handler ends as it does without any", async () => {
  for (const handler of Object.values(HANDLERS)) {
    expect(await eventsOf([requestId(), recovery({ onPanic: "retry" })], handler)).toEqual(
      await eventsOf([], handler),
    );
  }
});

test("the first of two recoveries that has an outcome for an error is the inner one", async () => {
  const asked: string[] = [];
  const asking = (name: string, word: "dead" | "retry"): Middleware =>
    recovery({
      onPanic: () => {
        asked.push(name);
        return word;
      },
    });
  for (const front of Object.values(FRONTS)) {
    for (const [inner, all] of [["dead", ["inner"]], ["retry", ["inner", "outer"]]] as const) {
      asked.length = 0;
      const use = [...front, asking("outer", "dead"), asking("inner", inner)];
      const [end] = await eventsOf(use, () => Promise.reject(new Error("no"))) as unknown[][];
      expect([asked, end?.slice(0, 4)]).toEqual([all, ["failed", "Error", "no", "panic"]]);
    }
  }
});

test("a context has the request id beside what it has from the core, each run its own", async () => {
  for (const front of Object.values(FRONTS)) {
    const relay = createRelay({ jobs, runtime: createFakeRuntime(), use: [...front, requestId()] as const });
    const seen: unknown[] = [];
    relay.handle("job", (_, context) => {
      const { requestId, attempt, job, signal } = context as HandlerContext & { requestId: string };
      seen.push([requestId, attempt, job.id, job.requestId, signal.aborted]);
    });
    await relay.dispatch("job", "x", { id: "a", requestId: "r7" });
    await relay.dispatch("job", "x", { id: "b", requestId: "r8" });
    await relay.drain();
    await relay.close();
    expect(seen).toEqual([["r7", 1, "a", "r7", false], ["r8", 1, "b", "r8", false]]);
  }
});

test("a side that makes something ambient neither loses a call nor makes it twice, and its own faults behind the call count for nothing", () => {
  const made: string[] = [];
  const call = (): string => {
    made.push("made");
    return "answer";
  };
  const fault = (): never => {
    throw new Error("a fault of the side");
  };
  const sides: Record<string, (token: unknown, once: () => unknown) => unknown> = {
    twice: (_, once) => [once(), once()],
    "gives another": (_, once) => [once()],
    "throws behind it": (_, once) => {
      once();
      fault();
    },
  };
  for (const within of Object.values(sides)) expect(callWithin({ within }, undefined, call)).toBe("answer");
  expect(made).toHaveLength(3);
  expect(thrown(() => callWithin({ within: fault }, undefined, call)).message).toBe("a fault of the side");
  expect(thrown(() => callWithin({ within: () => undefined }, undefined, call)).message).toContain(
    "was not called",
  );
  expect(made).toHaveLength(3);
  const failing = (): never => {
    throw new RangeError("of the call");
  };
  for (const within of Object.values(sides)) {
    expect(thrown(() => callWithin({ within }, undefined, failing)).message).toBe("of the call");
  }
});
