import { expect, test } from "vitest";
import { migrate, SCHEMA_VERSION } from "../../../src/transports/sqlite/model/schema.ts";
import { spawnScript } from "../support/spawn.ts";
import { call, connection, job, newFile, now, open, rejection } from "./support.ts";

test("ten processes that start at once on a new file migrate it once, and all work", async () => {
  const path = newFile();
  const script = new URL("../fixtures/sqlite-push.ts", import.meta.url);
  const children = Array.from({ length: 10 }, (_, n) => spawnScript(script, [path, `p${n}`, "20"]));
  for (const child of children) {
    expect(await child.until((line) => line === "stored 20")).toBe("stored 20");
    expect((await child.exited).code, child.stderr()).toBe(0);
  }
  const rows = connection(path).prepare("SELECT version, migration FROM relevo_schema").all();
  expect(rows).toHaveLength(SCHEMA_VERSION);
  expect(await open({ path }).info("q", call)).toMatchObject({ waiting: 200 });
});

test("F089: migrating twice changes nothing", async () => {
  const path = newFile();
  const database = connection(path);
  migrate(database, path, 1);
  const before = database.prepare("SELECT * FROM sqlite_master").all();
  const applied = database.prepare("SELECT * FROM relevo_schema").all();
  migrate(database, path, 2);
  expect(database.prepare("SELECT * FROM sqlite_master").all()).toEqual(before);
  expect(database.prepare("SELECT * FROM relevo_schema").all()).toEqual(applied);
  await open({ path }).push([job()], call);
  expect(database.prepare("SELECT * FROM relevo_schema").all()).toEqual(applied);
});

test("F089: a file of a newer version is refused by name, and left as it is", async () => {
  const path = newFile();
  const database = connection(path);
  migrate(database, path, 1);
  database.exec("INSERT INTO relevo_schema VALUES (7, 'from the future', 0)");
  const transport = open({ path });
  for (
    const attempt of [transport.push([job()], call), transport.reserve(["q"], now), transport.queues(call)]
  ) {
    expect(await rejection(attempt)).toMatchObject({
      name: "TransportError",
      code: "TRANSPORT_INCOMPATIBLE",
      message:
        `Cannot use '${path}' as its schema is of version 7, and this version of Relevo knows up to ${SCHEMA_VERSION}`,
    });
  }
  expect(database.prepare("SELECT count(*) AS n FROM relevo_jobs").get()?.n).toBe(0);
});

test("F089: a migration that fails is named, and leaves nothing behind", async () => {
  const path = newFile();
  const database = connection(path);
  database.exec("CREATE TABLE relevo_queues (mine TEXT)");
  const error = await rejection(open({ path }).push([job()], call));
  expect(error).toMatchObject({ code: "TRANSPORT_INCOMPATIBLE" });
  expect(String(error)).toContain("from schema 0 to 1 (create jobs, queues, ids and leases)");
  expect(database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()).toHaveLength(1);
});

test("a file may be shared with tables and a user_version of its owner's", async () => {
  const path = newFile();
  const database = connection(path);
  database.exec("CREATE TABLE mine (a); INSERT INTO mine VALUES (1); PRAGMA user_version = 42");
  const transport = open({ path });
  await transport.push([job()], call);
  expect(database.prepare("PRAGMA user_version").get()?.user_version).toBe(42);
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").all();
  expect(tables.map(({ name }) => String(name)).filter((name) => !name.startsWith("relevo_"))).toEqual([
    "mine",
  ]);
});
