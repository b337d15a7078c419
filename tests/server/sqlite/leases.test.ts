import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import type { Transport } from "../../../src/contract/transport.ts";
import type { Database } from "../../../src/transports/sqlite/mod.ts";
import { call, connection, job, newFile, now, open } from "./support.ts";

/** The number of the lease of the next job. */
async function next(transport: Transport): Promise<number> {
  const [delivery] = await transport.reserve(["q"], { ...now, limit: 1 });
  return Number(delivery?.token.split("-")[0]);
}

/** A database in memory whose statements can be counted, and whose commits can be kept from happening. */
function watched(): {
  client: Database;
  database: DatabaseSync;
  runs: string[];
  refuse: { commits: number };
} {
  const database = new DatabaseSync(":memory:");
  onTestFinished(() => database.close());
  const runs: string[] = [];
  const refuse = { commits: 0 };
  const client: Database = {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      const statement = database.prepare(sql);
      const noted = (): void => {
        runs.push(sql);
        if (sql !== "COMMIT" || refuse.commits === 0) return;
        refuse.commits--;
        throw new Error("database is locked");
      };
      return {
        run: (...values) => (noted(), statement.run(...values)),
        get: (...values) => (noted(), statement.get(...values)),
        all: (...values) => (noted(), statement.all(...values)),
      };
    },
    close: () => database.close(),
    get isTransaction() {
      return database.isTransaction;
    },
  };
  return { client, database, runs, refuse };
}

test("no two deliveries of a file have the number of one lease, though its transports and openings take turns", async () => {
  const path = newFile();
  const transports = [open({ path }), open({ path })];
  const leases: number[] = [];
  await transports[0]?.push(Array.from({ length: 450 }, () => job()), call);
  for (let turn = 0; turn < 2; turn++) {
    const all = [...transports, open({ path })];
    for (let n = 0; n < 75; n++) for (const transport of all) leases.push(await next(transport));
  }
  expect(new Set(leases).size).toBe(450);
  const last = connection(path).prepare("SELECT last FROM relevo_leases").get()?.last;
  expect(Math.max(...leases)).toBeLessThanOrEqual(Number(last));
});

test("no reserve gives a lease a number that the table does not hold, as its transaction was undone", async () => {
  const { client, database, refuse } = watched();
  const transport = open({ client });
  await transport.push([job(), job()], call);
  const taken = (): number => Number(database.prepare("SELECT last FROM relevo_leases").get()?.last);
  const before = taken();
  refuse.commits = 1;
  const first = await next(transport);
  expect(refuse.commits).toBe(0);
  expect(first).toBeGreaterThan(before);
  expect(first).toBeLessThanOrEqual(taken());
  refuse.commits = 1;
  const second = await next(transport);
  expect(second).toBeGreaterThan(first);
  expect(second).toBeLessThanOrEqual(taken());
});

test("a reserve writes no number of its lease down: those of many are taken at once", async () => {
  const { client, runs } = watched();
  const transport = open({ client });
  await transport.push(Array.from({ length: 250 }, () => job()), call);
  const leases = [];
  for (let n = 0; n < 250; n++) leases.push(await next(transport));
  expect(new Set(leases).size).toBe(250);
  expect(runs.filter((sql) => /UPDATE relevo_leases/.test(sql))).toHaveLength(3);
});
