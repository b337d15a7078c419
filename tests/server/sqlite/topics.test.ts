import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { PushJob } from "../../../src/jobs/exchange.ts";
import type { Topics, Transport } from "../../../src/contract/transport.ts";
import { SCHEMA_VERSION } from "../../../src/transports/sqlite/model/schema.ts";
import { call, connection, job, newFile, now, open } from "./support.ts";

const FIRST_SCHEMA = new URL("./fixtures/schema-1.sql", import.meta.url);
/** More than one transaction of a bind moves. */
const MANY = 10_500;

function topicsOf({ topics }: Transport): Topics {
  if (topics === undefined) throw new Error("Topics were wanted");
  return topics;
}

async function idsIn(transport: Transport, queue: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (;;) {
    const deliveries = await transport.reserve([queue], now);
    if (deliveries.length === 0) return found;
    found.push(...deliveries.map(({ id }) => id));
  }
}

function numbered(count: number, part: Partial<PushJob>): readonly PushJob[] {
  return Array.from({ length: count }, (_, n) => job({ id: `${n}`, ...part }));
}

test("a file of the first schema is brought up to date, and what is in it goes on", async () => {
  const path = newFile();
  const database = connection(path);
  database.exec(readFileSync(FIRST_SCHEMA, "utf8"));
  database.exec("INSERT INTO relevo_jobs (queue, id, payload) VALUES ('q', 'old', '1')");
  const transport = open({ path });
  await topicsOf(transport).bind("orders", "a", call);
  expect(await transport.push([job({ queue: "orders@", id: "new" })], call)).toEqual(["stored"]);
  const [old] = await transport.reserve(["q"], now);
  expect(old).toMatchObject({ id: "old", token: "4294967301-1" });
  expect(await idsIn(transport, "orders@a")).toEqual(["new"]);
  const versions = database.prepare("SELECT version FROM relevo_schema ORDER BY version").all();
  expect(versions.map(({ version }) => version)).toEqual(
    Array.from({ length: SCHEMA_VERSION }, (_, n) => n + 1),
  );
  const fresh = newFile();
  await open({ path: fresh }).queues(call);
  const tables = (file: string) =>
    connection(file).prepare("SELECT name, sql FROM sqlite_master ORDER BY name").all();
  expect(tables(path)).toEqual(tables(fresh));
});

test("an entry that another program puts into a topic goes to each group, and waits while there is none", async () => {
  const path = newFile();
  const transport = open({ path });
  const { bind } = topicsOf(transport);
  await transport.queues(call);
  const database = connection(path);
  const insert = database.prepare("INSERT INTO relevo_jobs (queue, payload, id, due) VALUES (?, ?, ?, ?)");
  insert.run("orders@", "early", null, null);
  expect(await transport.info("orders@", call)).toMatchObject({ waiting: 1 });
  await bind("orders", "a", call);
  await bind("orders", "b", call);
  insert.run("orders@", "first", null, null);
  insert.run("orders@", "mine", "mine", null);
  insert.run("orders@", "late", "late", 9e14);
  insert.run("orders@a", "direct", "direct", null);
  insert.run("orders", "apart", "apart", null);
  expect(await transport.info("orders@", call)).toMatchObject({ waiting: 0, delayed: 0 });
  expect(await transport.info("orders@a", call)).toMatchObject({ waiting: 4, delayed: 1 });
  expect(await transport.info("orders@b", call)).toMatchObject({ waiting: 2, delayed: 1 });
  expect(await transport.info("orders", call)).toMatchObject({ waiting: 1 });
  const inA = await transport.reserve(["orders@a"], now);
  const inB = await transport.reserve(["orders@b"], now);
  const shown = (deliveries: typeof inA) =>
    deliveries.map(({ payload, name }) => `${new TextDecoder().decode(payload)} ${name}`);
  expect(shown(inA)).toEqual(["early orders", "first orders", "mine orders", "direct orders"]);
  expect(shown(inB)).toEqual(["first orders", "mine orders"]);
  expect(inB[0]?.id).toBe(inA[1]?.id);
  expect(inA[1]?.id).toMatch(/^#\d+$/);
  const counters = database.prepare("SELECT sum(waiting + delayed + reserved) AS n FROM relevo_queues").get();
  expect(counters?.n).toBe(database.prepare("SELECT count(*) AS n FROM relevo_entries").get()?.n);
});

test("a first group gets a long backlog whole, while others bind and push", async () => {
  const path = newFile();
  const [transport, other] = [open({ path }), open({ path })];
  const jobs = numbered(MANY, { queue: "orders@" });
  await transport.push(jobs.slice(0, 10_000), call);
  await transport.push(jobs.slice(10_000), call);
  const first = topicsOf(transport).bind("orders", "a", call);
  await transport.push([job({ queue: "orders@", id: "meanwhile" })], call);
  await Promise.all([first, topicsOf(other).bind("orders", "b", call)]);
  await other.push([job({ queue: "orders@", id: "last" })], call);
  expect(await transport.info("orders@", call)).toMatchObject({ waiting: 0, delayed: 0 });
  const inA = await idsIn(transport, "orders@a");
  expect(inA).toEqual([...jobs.map(({ id }) => id), "meanwhile", "last"]);
  expect(await idsIn(transport, "orders@b")).toEqual(["last"]);
});

test("who binds next ends what a process began that died in the middle of it", async () => {
  const path = newFile();
  const transport = open({ path });
  const { bind, groups } = topicsOf(transport);
  await transport.push(numbered(4, { queue: "orders@", idWindow: 0 }), call);
  const database = connection(path);
  database.exec("INSERT INTO relevo_groups VALUES ('orders', 'dead', 0)");
  database.exec("UPDATE relevo_entries SET queue = 'orders@dead' WHERE seq <= 2");
  database.exec(
    "UPDATE relevo_queues SET waiting = 2; INSERT INTO relevo_queues VALUES ('orders@dead', 2, 0, 0, 0, 0)",
  );
  expect(await groups("orders", call)).toEqual([]);
  const again = ["0", "3", "4"].map((id) => job({ queue: "orders@", id, idWindow: 0 }));
  expect(await transport.push(again, call)).toEqual(["duplicate", "duplicate", "stored"]);
  expect(await transport.info("orders@", call)).toMatchObject({ waiting: 3 });
  await bind("orders", "b", call);
  expect(await groups("orders", call)).toEqual(["b", "dead"]);
  await transport.push([job({ queue: "orders@", id: "5" })], call);
  expect(await idsIn(transport, "orders@dead")).toEqual(["0", "1", "2", "3", "4", "5"]);
  expect(await idsIn(transport, "orders@b")).toEqual(["5"]);
});

test("a bind whose deadline is over keeps what it did, and the next goes on", async () => {
  const transport = open({ path: newFile() });
  const { bind, groups } = topicsOf(transport);
  await transport.push(numbered(10_000, { queue: "orders@" }), call);
  await transport.push(numbered(10_000, { queue: "orders@" }), call);
  await expect(bind("orders", "a", { deadline: 1 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(await groups("orders", call)).toEqual([]);
  await bind("orders", "a", call);
  expect(await groups("orders", call)).toEqual(["a"]);
  expect(await transport.info("orders@a", call)).toMatchObject({ waiting: 20_000 });
});
