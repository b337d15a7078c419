import { expect, test } from "vitest";
import type { HandlerContext } from "../../../../mod.ts";
import { expectIdempotent } from "../../../../src/testing/mod.ts";

interface Order {
  readonly order: string;
  readonly amount: number;
}

const payload: Order = { order: "A1", amount: 10 };

/** A payment provider that knows idempotency keys, a mailer that knows none, and a table of what was done. */
function shop() {
  const charges: { key: string | undefined; amount: number }[] = [];
  const mails: string[] = [];
  const rows = new Map<string, string>();
  let count = 0;
  return {
    bank: {
      // deno-lint-ignore require-await
      async charge(amount: number, key?: string): Promise<void> {
        if (key === undefined || !charges.some((charge) => charge.key === key)) charges.push({ key, amount });
      },
    },
    mailer: {
      // deno-lint-ignore require-await
      async send(text: string): Promise<void> {
        mails.push(text);
      },
    },
    db: {
      find: (id: string): Promise<string | undefined> => Promise.resolve(rows.get(id)),
      // deno-lint-ignore require-await
      async put(id: string, state: string): Promise<void> {
        rows.set(id, state);
      },
      increment: (): number => ++count,
    },
    seen: () => ({ charges: charges.map(({ amount }) => amount), mails, rows, count }),
  };
}

type Shop = ReturnType<typeof shop>;

function check(handler: (world: Shop) => (order: Order, context: HandlerContext) => unknown) {
  return expectIdempotent({ world: shop, handler, payload, observe: ({ seen }) => seen() });
}

test("a handler that charges under the job's id and notes what it did passes, whatever call it is given up behind", async () => {
  const { calls, runs } = await check(({ bank, db }) => async ({ order, amount }, { job }) => {
    if (await db.find(order) === "paid") return;
    await bank.charge(amount, job.id);
    await db.put(order, "paid");
  });
  expect(calls).toEqual(["db.find", "bank.charge", "db.put"]);
  expect(runs).toBe(9);
});

test("a handler that charges without a key is found by two whole runs", async () => {
  await expect(check(({ bank }) => ({ amount }) => bank.charge(amount))).rejects.toThrow(
    "what two whole runs in a row leave behind (at charges.1): wanted",
  );
});

test("a handler that mails before it notes that it did is found by the call between the two", async () => {
  const mails = check(({ db, mailer }) => async ({ order }) => {
    if (await db.find(order) === "mailed") return;
    await mailer.send(`Thank you for ${order}`);
    await db.put(order, "mailed");
  });
  await expect(mails).rejects.toThrow(
    "what a run given up behind call 2 of 3, 'mailer.send', and then a whole one, leave behind (at mails.1)",
  );
});

test("a handler that counts by a call that answers at once is found too", async () => {
  const counts = check(({ db }) => async ({ order }) => {
    if (await db.find(order) === "counted") return;
    db.increment();
    await db.put(order, "counted");
  });
  await expect(counts).rejects.toThrow("given up behind call 2 of 3, 'db.increment', and then a whole one");
});

test("a call that is given up takes effect, and nothing behind it does", async () => {
  const done: string[] = [];
  const world = (): { step(name: string): Promise<void> } => ({
    // deno-lint-ignore require-await
    async step(name) {
      done.push(name);
    },
  });
  await expectIdempotent({
    world,
    handler: (w) => async () => {
      await Promise.all([w.step("a"), w.step("b")]);
      await w.step("c");
    },
    payload: undefined,
    observe: () => "the same",
  });
  const whole = ["a", "b", "c"];
  expect(done).toEqual([
    ...whole,
    ...[...whole, ...whole],
    ...["a", ...whole],
    ...["a", "b", ...whole],
    ...["a", "b", "c", ...whole],
  ]);
});

test("a handler that catches what a given-up call throws cannot go on behind it", async () => {
  const counts = check(({ db, mailer }) => async ({ order }) => {
    try {
      if (await db.find(order) === undefined) db.increment();
    } catch {
      await mailer.send("something failed");
    }
    await db.put(order, "counted");
  });
  await expect(counts).rejects.toThrow("at count): wanted");
});

test("a handler that fails alone, or in its second run, says so with its error", async () => {
  const alone = check(() => () => {
    throw new Error("no bank today");
  });
  await expect(alone).rejects.toThrow("the handler ends well when it ran alone; found no bank today");
  const second = check(({ db }) => async ({ order }) => {
    if (await db.find(order) !== undefined) throw new Error("it is there already");
    await db.put(order, "paid");
  });
  await expect(second).rejects.toThrow("in the second of two runs; found it is there already");
});

test("a handler that calls nothing of the world shows nothing, and is refused", async () => {
  await expect(check(() => () => undefined)).rejects.toThrow("at least one call on the fakes");
});

test("all runs have one job id, a context of their own, and a copy of the payload", async () => {
  const contexts = new Set<HandlerContext>();
  const ids = new Set<string>();
  await expectIdempotent({
    world: () => ({ note: () => undefined }),
    handler: (world) => (given: Order, context) => {
      contexts.add(context);
      ids.add(context.job.id);
      expect(given).toEqual(payload);
      expect(given).not.toBe(payload);
      world.note();
    },
    payload,
    observe: () => undefined,
  });
  expect([contexts.size, ids.size]).toEqual([5, 1]);
});

test("fakes with private fields and maps work, and frozen ones are refused by name", async () => {
  class Ledger {
    readonly #lines = new Map<string, number>();
    readonly index: Map<string, number> = new Map();
    add(key: string, amount: number): void {
      this.#lines.set(key, amount);
    }
    lines(): readonly number[] {
      return [...this.#lines.values()];
    }
  }
  const { calls } = await expectIdempotent({
    world: () => ({ ledger: new Ledger() }),
    handler: ({ ledger }) => ({ order, amount }: Order) => {
      ledger.add(order, amount);
      ledger.index.set(order, amount);
    },
    payload,
    observe: ({ ledger }) => [ledger.lines(), ledger.index],
  });
  expect(calls).toEqual(["ledger.add", "ledger.index.set"]);
  const frozen = expectIdempotent({
    world: () => ({ mailer: Object.freeze({ send: () => undefined }) }),
    handler: ({ mailer }) => () => mailer.send(),
    payload,
    observe: () => undefined,
  });
  await expect(frozen).rejects.toThrow("Cannot watch the calls of 'mailer' as it is frozen");
});

test.each([
  [undefined, "its options must be an object: current value is undefined"],
  [{}, "'world' must be a function: current value is undefined"],
  [{ world: () => ({}), handler: 1 }, "'handler' must be a function: current value is 1"],
  [
    { world: () => ({}), handlers: 1 },
    "there is no option 'handlers': there are world, handler, payload, observe",
  ],
  [
    { world: () => ({}), handler: () => undefined, observe: () => 0 },
    "what 'handler' makes of the fakes must be a handler: current value is undefined",
  ],
])("options %j are refused before anything runs", async (options, fault) => {
  await expect(expectIdempotent(options as never)).rejects.toThrow(
    `Cannot examine whether a handler may run twice as ${fault}`,
  );
});
