/** F034: dispatch and settle inside a transaction of the caller's. */
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { deadLetter, fixed, LeaseLost, type Relay, retry } from "../../mod.ts";
import { free, heard, rejection } from "../web/support/kit.ts";
import { type FilePlace, filePlace } from "./support/place.ts";

const jobs = { job: { schema: free<number>(), backoff: fixed(10) } };

/** A place whose file also has a table of the user's. */
async function setUp(): Promise<{ place: FilePlace; relay: Relay<typeof jobs>; db: DatabaseSync }> {
  const place = filePlace();
  const relay = place.relay(jobs);
  await relay.info();
  const db = new DatabaseSync(place.path);
  onTestFinished(() => db.close());
  db.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
  return { place, relay, db };
}

const count = (db: DatabaseSync): unknown => db.prepare("SELECT count(*) AS n FROM orders").get()?.["n"];

test("F034: a job dispatched in a transaction is seen by no other connection before its commit, and handled after it", async () => {
  const { place, relay, db } = await setUp();
  const other = place.relay(jobs, { transport: place.connect() });
  const seen: number[] = [];
  other.handle("job", (payload) => seen.push(payload));
  db.exec("BEGIN");
  db.exec("INSERT INTO orders VALUES (1)");
  expect(await relay.dispatch("job", 1, { transaction: db })).toMatchObject({ status: "stored" });
  expect(await other.info()).toMatchObject({ waiting: 0 });
  db.exec("COMMIT");
  expect(await other.info()).toMatchObject({ waiting: 1 });
  await other.drain();
  expect([seen, count(db)]).toEqual([[1], 1]);
});

test("F034: a job dispatched in a transaction that is rolled back never was", async () => {
  const { relay, db } = await setUp();
  db.exec("BEGIN");
  db.exec("INSERT INTO orders VALUES (1)");
  await relay.dispatch("job", 1, { transaction: db, id: "a" });
  await relay.dispatchMany([{ name: "job", payload: 2 }, { name: "job", payload: 3 }], { transaction: db });
  db.exec("ROLLBACK");
  expect(await relay.info()).toMatchObject({ waiting: 0 });
  expect(count(db)).toBe(0);
  // Not even its id is held.
  expect(await relay.dispatch("job", 1, { id: "a" })).toEqual({ id: "a", status: "stored" });
});

test("F034: what a handler writes and the end of its job become true together", async () => {
  const { relay, db } = await setUp();
  const completed = heard(relay.events, "completed");
  relay.handle("job", async (payload, context) => {
    db.exec("BEGIN IMMEDIATE");
    db.prepare("INSERT INTO orders VALUES (?)").run(payload);
    await context.settle(db);
    db.exec("COMMIT");
  });
  await relay.dispatch("job", 1);
  await relay.drain();
  expect(count(db)).toBe(1);
  expect(completed).toHaveLength(1);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 0 });
});

test("F034, W80: a handler whose transaction is rolled back has failed, and its job runs again", async () => {
  const { place, relay, db } = await setUp();
  const retrying = heard(relay.events, "retrying");
  relay.handle("job", async (payload, context) => {
    db.exec("BEGIN IMMEDIATE");
    db.prepare("INSERT INTO orders VALUES (?)").run(payload);
    await context.settle(db);
    db.exec(context.attempt === 1 ? "ROLLBACK" : "COMMIT");
  });
  await relay.dispatch("job", 1);
  await relay.drain();
  expect(count(db)).toBe(0);
  expect(retrying).toMatchObject([{ error: { code: "NOT_COMMITTED" } }]);
  await place.runtime.advance(100);
  await relay.drain();
  expect(count(db)).toBe(1);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 0, failed: 0 });
});

test.each([
  ["retry", retry({ delay: 60_000, error: new Error("later") }), { delayed: 1, failed: 0 }],
  ["dead letter", deadLetter({ reason: "no" }), { delayed: 0, failed: 1 }],
])("F034: a %s inside the handler's transaction is what becomes of the job", async (_, outcome, wanted) => {
  const { relay, db } = await setUp();
  relay.handle("job", async (_, context) => {
    db.exec("BEGIN IMMEDIATE");
    await context.settle(db, outcome);
    db.exec("COMMIT");
  });
  await relay.dispatch("job", 1);
  await relay.drain();
  expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0, ...wanted });
});

test("F034, W31: a worker that lost its lease can settle in no transaction", async () => {
  const { place, relay, db } = await setUp();
  const errors: unknown[] = [];
  relay.handle("job", async (_, context) => {
    if (context.job.lost > 0) return;
    // As if this process had stood still for longer than its lease.
    const asks = { deadline: 1_000, limit: 1, slots: 1, lease: 60_000, wait: 0 };
    const { transport } = place;
    const { jobs: [held] } = await relay.list("default", "reserved");
    place.runtime.step((held?.leasedUntil ?? 0) - place.runtime.now() + 1);
    expect(await transport.reserve(["default"], asks)).toHaveLength(1);
    db.exec("BEGIN IMMEDIATE");
    errors.push(await rejection(context.settle(db)));
    db.exec("ROLLBACK");
  });
  await relay.dispatch("job", 1);
  // What the worker asks of its leases, as its clock was set forward, waits for the transaction by a timer.
  await Promise.all([relay.drain(), place.runtime.advance(1_000)]);
  expect(errors).toEqual([expect.any(LeaseLost)]);
  expect(await relay.info()).toMatchObject({ waiting: 0, delayed: 0, reserved: 1, failed: 0 });
});

test("F034: a transaction where there is none, or of another file, is refused by what is wrong with it", async () => {
  const { relay, db } = await setUp();
  const dispatch = (transaction: object): Promise<Error> =>
    rejection(relay.dispatch("job", 1, { transaction }));
  expect((await dispatch(db)).message).toContain("none is open");
  expect((await dispatch({})).message).toContain("must be a DatabaseSync");
  const elsewhere = new DatabaseSync(":memory:");
  elsewhere.exec("BEGIN");
  expect((await dispatch(elsewhere)).message).toContain(
    "must be a connection to the database of this transport",
  );
  elsewhere.close();
  expect(await relay.info()).toMatchObject({ waiting: 0 });
});
