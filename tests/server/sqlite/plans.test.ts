import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { type Database, sqlite } from "../../../src/transports/sqlite/mod.ts";

const call = { deadline: 60_000 };

/** A database in memory that keeps every statement which is prepared on it. */
function recording(): { client: Database; database: DatabaseSync; statements: Set<string> } {
  const database = new DatabaseSync(":memory:");
  const statements = new Set<string>();
  const client: Database = {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      statements.add(sql);
      return database.prepare(sql);
    },
    close: () => database.close(),
    get isTransaction() {
      return database.isTransaction;
    },
  };
  return { client, database, statements };
}

test("what asks for an id never goes through all jobs of the queue", async () => {
  const { client, database, statements } = recording();
  const transport = sqlite({ client });
  const job = { queue: "q", id: "a", name: "n", payload: new Uint8Array(), meta: "", idWindow: 0 };
  expect(await transport.push([job, { ...job, id: "b" }], call)).toEqual(["stored", "stored"]);
  const [delivery] = await transport.reserve(["q"], { ...call, limit: 1, slots: 1, lease: 10_000, wait: 0 });
  const death = {
    queue: "q",
    token: delivery?.token ?? "",
    to: "failed",
    meta: "",
    reason: "refused",
  } as const;
  expect(await transport.settle([death], call)).toEqual(["settled"]);
  await transport.get("q", ["a"], call);
  expect(await transport.reload("q", "failed", { ids: ["a"] }, { ...call, reset: false }))
    .toEqual({ reloaded: 1, taken: 0 });
  expect(await transport.remove("q", "waiting", { ids: ["a", "b"] }, call)).toBe(2);

  const asking = [...statements].filter((sql) => /relevo_entries\b[^]*WHERE[^]*\bid = \?/.test(sql));
  expect(asking.length).toBeGreaterThanOrEqual(4);
  for (const sql of asking) {
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all().map((step) => String(step.detail));
    expect(plan.join("; "), sql).toContain("relevo_entries_id");
  }
  await transport[Symbol.asyncDispose]();
  database.close();
});

test("no statement is compiled anew with each value that its LIMIT is given", async () => {
  const { client, database, statements } = recording();
  const transport = sqlite({ client });
  const job = { queue: "q", name: "n", payload: new Uint8Array(), meta: "" };
  await transport.push([{ ...job, id: "a" }, { ...job, id: "b", delay: 60_000 }], call);
  await transport.reserve(["q"], { ...call, limit: 1, slots: 1, lease: 10_000, wait: 0 });
  await transport.list("q", "delayed", { limit: 10, preview: 0 }, call);
  await transport.remove("q", "delayed", "all", call);
  await transport.schedules?.list("q", { limit: 10 }, call);

  const bound = [...statements].filter((sql) => /LIMIT \?/.test(sql));
  expect(bound.length).toBeGreaterThanOrEqual(4);
  for (const sql of bound) expect(sql).toMatch(/LIMIT \?\d* \+ 0/);
  await transport[Symbol.asyncDispose]();
  database.close();
});

test("jobs that differ in their ids and payloads alone are written by a statement that is given the rest once, and come as any others", async () => {
  const { client, database, statements } = recording();
  const transport = sqlite({ client });
  const alike = Array.from({ length: 60 }, (_, n) => ({
    queue: "q",
    id: `${n}`,
    name: "n",
    payload: Uint8Array.of(...Array.from({ length: n % 3 }, () => n)),
    meta: "m\0",
  }));
  const others = [{ name: "other" }, { meta: "" }, { queue: "r" }, { delay: 60_000 }, {
    at: Date.now() + 60_000,
  }];
  const jobs = [
    ...alike,
    ...others.flatMap((other, n) =>
      alike.slice(0, 30).map((job, index) => ({ ...job, id: `${n}.${index}`, ...index === 7 ? other : {} }))
    ),
  ];
  expect(new Set(await transport.push(jobs, call))).toEqual(new Set(["stored"]));

  expect([...statements].filter((sql) => /^INSERT INTO relevo_entries[^]*SELECT/.test(sql))).toHaveLength(1);
  const waiting = jobs.filter(({ queue, ...job }) => queue === "q" && !("delay" in job) && !("at" in job));
  expect(await transport.info("q", call)).toMatchObject({ waiting: waiting.length, delayed: 2 });
  expect(await transport.info("r", call)).toMatchObject({ waiting: 1, delayed: 0 });
  const deliveries = await transport.reserve(["q"], {
    ...call,
    limit: 500,
    slots: 500,
    lease: 10_000,
    wait: 0,
  });
  expect(deliveries.map(({ id, name, payload, meta }) => ({ queue: "q", id, name, payload, meta }))).toEqual(
    waiting,
  );
  await transport[Symbol.asyncDispose]();
  database.close();
});
