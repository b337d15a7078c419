import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import type { Transactions, Transport } from "../../../src/contract/transport.ts";
import { call, connection, job, newFile, now, open, rejection } from "./support.ts";

function abilityOf(transport: Transport): Transactions {
  if (transport.transactions === undefined) throw new Error("Transactions were wanted");
  return transport.transactions;
}

test("a push in a transaction is done when the call returns, and nobody else sees it before the commit", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const mine = connection(path);
  mine.exec("CREATE TABLE orders (id); BEGIN IMMEDIATE; INSERT INTO orders VALUES (1)");
  const pushed = abilityOf(transport).push(mine, [job({ id: "1" })], call);
  expect(await open({ path }).info("q", call)).toMatchObject({ waiting: 0 });
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0 });
  mine.exec("COMMIT");
  expect(await pushed).toEqual(["stored"]);
  expect((await transport.reserve(["q"], now)).map(({ id }) => id)).toEqual(["1"]);
});

test("a rolled back transaction leaves no job, no held id, no count", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ id: "held" })], call);
  const [delivery] = await transport.reserve(["q"], now);
  if (delivery === undefined) throw new Error("A delivery was wanted");
  const mine = connection(path);
  mine.exec("BEGIN");
  const { push, settle } = abilityOf(transport);
  expect(await push(mine, [job({ id: "x", idWindow: 60_000 })], call)).toEqual(["stored"]);
  expect(await settle(mine, [{ ...delivery, to: "done" }], call)).toEqual(["settled"]);
  mine.exec("ROLLBACK");
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, reserved: 1 });
  expect(await transport.push([job({ id: "x", idWindow: 60_000 })], call)).toEqual(["stored"]);
  expect(await transport.settle([{ ...delivery, to: "done" }], call)).toEqual(["settled"]);
});

test("a stale settle in a transaction changes nothing", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.push([job({ id: "1" })], call);
  const [delivery] = await transport.reserve(["q"], now);
  if (delivery === undefined) throw new Error("A delivery was wanted");
  await transport.settle([{ ...delivery, to: "release" }], call);
  const mine = connection(path);
  mine.exec("BEGIN IMMEDIATE");
  expect(await abilityOf(transport).settle(mine, [{ ...delivery, to: "done" }], call)).toEqual(["stale"]);
  mine.exec("COMMIT");
  expect(await transport.info("q", call)).toMatchObject({ waiting: 1, reserved: 0 });
});

test("a call that fails inside a transaction takes back its own part only", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const mine = connection(path);
  mine.exec("CREATE TABLE orders (id); BEGIN IMMEDIATE; INSERT INTO orders VALUES (1)");
  const bad = { ...job(), name: Symbol("no text") as unknown as string };
  const refused = await abilityOf(transport).push(mine, [job(), bad], { ...call, atomic: true });
  expect(refused).toEqual(["withheld", expect.any(TypeError)]);
  expect(await abilityOf(transport).push(mine, [job({ id: "good" })], call)).toEqual(["stored"]);
  mine.exec("COMMIT");
  expect(mine.prepare("SELECT count(*) AS n FROM orders").get()?.n).toBe(1);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 1 });
});

test("what is no transaction on this database is refused", async () => {
  const path = newFile();
  const transport = open({ path });
  await transport.queues(call);
  const { push } = abilityOf(transport);
  const elsewhere = connection(newFile());
  elsewhere.exec("BEGIN");
  for (const handle of [{}, connection(path), elsewhere]) {
    expect(await rejection(push(handle, [job()], call))).toBeInstanceOf(TypeError);
  }
  const closed = new DatabaseSync(path);
  closed.close();
  expect(await rejection(push(closed, [job()], call))).toMatchObject({
    message: expect.stringContaining("must be a connection that is open"),
  });
  await transport[Symbol.asyncDispose]();
  const mine = connection(path);
  mine.exec("BEGIN");
  expect(await rejection(push(mine, [job()], call))).toMatchObject({ code: "TRANSPORT_CLOSED" });
});

test("a client of a file lends its path: our calls never join its transaction, and it is never closed", async () => {
  const client = connection(newFile());
  const transport = open({ client });
  await transport.queues(call);
  client.exec("BEGIN");
  expect(await transport.push([job()], call)).toEqual(["stored"]);
  client.exec("ROLLBACK");
  expect(await transport.info("q", call)).toMatchObject({ waiting: 1 });
  await transport[Symbol.asyncDispose]();
  expect(client.prepare("SELECT count(*) AS n FROM relevo_jobs").get()?.n).toBe(1);
});

test("calls wait while a transaction is open on the only connection to a database in memory", async () => {
  const client = new DatabaseSync(":memory:");
  onTestFinished(() => client.close());
  const transport = open({ client });
  await transport.queues(call);
  client.exec("BEGIN");
  expect(await rejection(transport.push([job()], { deadline: 50 }))).toMatchObject({
    code: "TRANSPORT_BUSY",
  });
  expect(await rejection(transport.info("q", { deadline: 50 }))).toMatchObject({ code: "TRANSPORT_BUSY" });
  const waiting = transport.reserve(["q"], { ...now, wait: 10_000 });
  expect(await abilityOf(transport).push(client, [job({ id: "1" })], call)).toEqual(["stored"]);
  client.exec("COMMIT");
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
});

test("a commit on the client's only connection wakes who waited before it began", async () => {
  const client = new DatabaseSync(":memory:");
  onTestFinished(() => client.close());
  const transport = open({ client });
  const waiting = transport.reserve(["q"], { ...now, wait: 10_000 });
  await transport.queues(call);
  client.exec("BEGIN");
  await abilityOf(transport).push(client, [job({ id: "1" })], call);
  client.exec("COMMIT");
  expect((await waiting).map(({ id }) => id)).toEqual(["1"]);
});
