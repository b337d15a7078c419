import { expect, test } from "vitest";
import type { Transport } from "../../../mod.ts";
import { around } from "../../../src/contract/around.ts";
import { createAnswering } from "../../../src/store/answering.ts";

/** The arguments of each verb before its call. */
const JOBS = { push: 1, reserve: 1, extend: 1, settle: 1, subscribe: 1 };
const OPERATOR = { info: 1, queues: 0, list: 3, get: 2, reload: 3, remove: 3, diagnose: 0 };
const PARTS = {
  topics: { bind: 2, unbind: 2, groups: 1 },
  schedules: { put: 1, get: 2, list: 2, remove: 2, pause: 4, due: 2, advance: 5 },
  transactions: { push: 2, settle: 2 },
};

/** A member of the contract that is not named here does not compile: it must go through `around`, too. */
const REST = { name: 0, features: 0, lacks: 0, limits: 0, maxAttempts: 0, [Symbol.asyncDispose]: 0 };
({ ...JOBS, ...OPERATOR, ...PARTS, ...REST }) satisfies Record<keyof Transport, unknown>;

type Verb = (...rest: unknown[]) => unknown;

/** Verbs that answer with their name and arguments. */
function echoing(names: object, of = ""): Record<string, Verb> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, (...rest) => [of + name, ...rest]]));
}

const inner: unknown = {
  ...echoing({ ...JOBS, ...OPERATOR }),
  topics: echoing(PARTS.topics, "topics."),
  schedules: echoing(PARTS.schedules, "schedules."),
  transactions: echoing(PARTS.transactions, "transactions."),
};

test("each verb of the contract passes its arguments on, and its call to what is around it", async () => {
  const call = { deadline: 1_000 };
  const seen: unknown[] = [];
  const outer = around(inner as Transport, (_action, given, work) => {
    seen.push(given);
    return Promise.resolve(work());
  });
  const all: readonly (readonly [string, object, object])[] = [
    ["", { ...JOBS, ...OPERATOR }, outer],
    ...Object.entries(PARTS).map(([part, verbs]) =>
      [`${part}.`, verbs, outer[part as keyof typeof PARTS] ?? {}] as const
    ),
  ];
  let verbs = 0;
  for (const [of, counts, part] of all) {
    for (const [name, count] of Object.entries(counts)) {
      const rest = [...Array(count).keys()].map((n) => `argument ${n}`);
      const answer: unknown = await Reflect.apply(Reflect.get(part, name), part, [...rest, call]);
      expect(answer).toEqual([of + name, ...rest, call]);
      verbs++;
    }
  }
  expect(seen).toEqual(Array(verbs).fill(call));
});

test("calls that are answered are carried out at once, in their order, and a throw rejects", async () => {
  const { answer } = createAnswering("memory");
  const order: number[] = [];
  const first = answer("push jobs", { deadline: 1 }, () => order.push(1));
  const second = answer("push jobs", { deadline: 1 }, () => {
    order.push(2);
    throw new Error("no");
  });
  expect(order).toEqual([1, 2]);
  expect(await first).toBe(1);
  await expect(second).rejects.toThrow("no");
});

test("a call that is too late is not carried out: closed wins over aborted", async () => {
  const { answer, close } = createAnswering("memory");
  const signal = AbortSignal.abort(new Error("enough"));
  const work = (): never => {
    throw new Error("carried out");
  };
  await expect(answer("push jobs", { deadline: 1, signal }, work)).rejects.toThrow("enough");
  const error = close();
  await expect(answer("push jobs", { deadline: 1, signal }, work)).rejects.toThrow(error.message);
});
