/** SQLite as a place for cases: a file of its own for each test, under a clock of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { makePlace, type OpenPlace, type Place } from "../../web/support/place.ts";

/** A place on a file. */
export interface FilePlace extends Place {
  readonly path: string;
}

export const filePlace: () => FilePlace = () => {
  const runtime = createFakeRuntime();
  const folder = mkdtempSync(join(tmpdir(), "relevo-place-"));
  const path = join(folder, "jobs.db");
  const place = makePlace({
    runtime,
    connect: () => sqlite({ path, runtime, durability: "normal" }),
    destroy: () => rmSync(folder, { recursive: true, force: true }),
  });
  return { ...place, path };
};

export const sqlitePlace: OpenPlace = filePlace;
