import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "vitest";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";
import { examineOn } from "../web/support/promises.ts";
import { everyPromise } from "./support/all_promises.ts";

examineOn(async () => {
  const runtime = createFakeRuntime();
  const folder = await mkdtemp(join(tmpdir(), "relevo-promises-"));
  return {
    runtime,
    connect: () =>
      Promise.resolve(sqlite({ path: join(folder, "jobs.db"), runtime, durability: "normal", probe: 1_000 })),
    destroy: () => rm(folder, { recursive: true, force: true }),
  };
});

describe("SQLite keeps", async () => {
  await everyPromise("sqlite");
});
