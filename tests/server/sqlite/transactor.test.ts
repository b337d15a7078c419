import { expect, test } from "vitest";
import { BulkRefusedError, createRelay, json, TransportBusy } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { sqlite, transactor } from "../../../src/transports/sqlite/mod.ts";
import { connection, newFile } from "./support.ts";

const anything = {
  "~standard": { version: 1, vendor: "here", validate: (value: unknown) => ({ value }) },
} as const;

test("handlers that share a connection take turns, and each job ends with its row", async () => {
  const path = newFile();
  const relay = createRelay({ jobs: { pay: anything }, transport: sqlite({ path }) });
  await relay.queues();
  const db = connection(path);
  db.exec("CREATE TABLE paid (id INTEGER PRIMARY KEY)");
  const transact = transactor(db);
  const insert = db.prepare("INSERT INTO paid VALUES (?)");
  relay.handle("pay", (id, { settle }) =>
    transact(async () => {
      insert.run(Number(id));
      await settle(db);
    }));
  await relay.dispatchMany(Array.from({ length: 200 }, (_, id) => ({ name: "pay" as const, payload: id })));
  expect(await relay.drain({ concurrency: 50 })).toMatchObject({ completed: 200, retried: 0, stale: 0 });
  expect(db.prepare("SELECT count(*) AS n FROM paid").get()).toMatchObject({ n: 200 });
  expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0, delayed: 0 });
  await relay.close();
});

test("work that fails leaves nothing behind, and does not hold up the next", async () => {
  const db = connection(newFile());
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
  const transact = transactor(db);
  const failing = transact((mine) => {
    mine.exec("INSERT INTO t VALUES (1)");
    throw new Error("no");
  });
  const next = transact(async (mine) => {
    await Promise.resolve();
    mine.exec("INSERT INTO t VALUES (2)");
    return "done";
  });
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("done");
  expect(db.prepare("SELECT id FROM t").all().map((row) => row.id)).toEqual([2]);
});

test("a locked file is waited for until the deadline", async () => {
  const path = newFile();
  const runtime = createFakeRuntime();
  const [mine, other] = [connection(path), connection(path)];
  mine.exec("CREATE TABLE t (id)");
  const transact = transactor(mine, { deadline: 1_000, runtime });
  other.exec("BEGIN IMMEDIATE");
  const refused = expect(transact(() => expect.unreachable())).rejects.toBeInstanceOf(TransportBusy);
  await runtime.advance(1_100);
  await refused;
  const patient = transact((db) => db.exec("INSERT INTO t VALUES (1)"));
  await runtime.advance(500);
  other.exec("ROLLBACK");
  await runtime.advance(100);
  await patient;
  expect(runtime.sleepers).toBe(0);
});

test("what is no connection, and a wrong deadline, are refused", () => {
  expect(() => transactor({} as never)).toThrow("needs a DatabaseSync of node:sqlite");
  expect(() => transactor(connection(newFile()), { deadline: -1 })).toThrow(
    "'deadline' must be milliseconds from 0",
  );
});

test("an atomic bulk in a transaction stores none of it when one is refused", async () => {
  const path = newFile();
  const relay = createRelay({ jobs: { n: { schema: anything, codec: json } }, transport: sqlite({ path }) });
  await relay.dispatch("n", 0, { id: "taken" });
  const db = connection(path);
  db.exec("BEGIN IMMEDIATE");
  const bulk = relay.dispatchMany([{ name: "n", payload: 1 }, { name: "n", payload: 2, id: "taken" }], {
    atomic: true,
    transaction: db,
  });
  const refused = expect(bulk).rejects.toBeInstanceOf(BulkRefusedError);
  await refused;
  db.exec("COMMIT");
  expect(await relay.info()).toMatchObject({ waiting: 1 });
  await relay.close();
});
