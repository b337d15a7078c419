import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as v from "valibot";
import { expect, onTestFinished, test } from "vitest";
import { createRelay } from "../../mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";

test("a handler that takes its context apart settles its job in a transaction of its own", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-settle-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "jobs.db");
  await using relay = createRelay({ jobs: { n: v.number() }, transport: sqlite({ path }) });
  await relay.dispatch("n", 1);
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE results (n)");
  relay.handle("n", async (n, { settle }) => {
    database.exec("BEGIN IMMEDIATE");
    await settle(database);
    database.prepare("INSERT INTO results VALUES (?)").run(n);
    database.exec("COMMIT");
  });
  expect(await relay.drain()).toMatchObject({ completed: 1, retried: 0 });
  expect(database.prepare("SELECT count(*) AS rows FROM results").get()?.rows).toBe(1);
  database.close();
});
