import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemRuntime } from "../../../src/runtime.ts";
import { spawnScript } from "../support/spawn.ts";

const script = new URL("./fixtures/exit.ts", import.meta.url);
/** Milliseconds in which a process that has nothing left to do is gone, on a busy machine too. */
const SOON = 9_000;

function place(kind: string): string {
  if (kind === "memory") return kind;
  const folder = mkdtempSync(join(tmpdir(), "relevo-exit-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "jobs.db");
}

for (const kind of ["memory", "sqlite"]) {
  for (const ending of ["stop", "abort"]) {
    test(`W08: on ${kind} the process ends by itself after ${ending} and close`, async () => {
      await using child = spawnScript(script, [place(kind), ending]);
      const lines: string[] = [];
      for (let line = ""; line !== "closed"; lines.push(line)) line = await child.next();
      const late = new AbortController();
      const end = await Promise.race([
        child.exited,
        systemRuntime().sleep(SOON, late.signal).then(() => "still there", () => "gone"),
      ]);
      late.abort();
      expect(end).toEqual({ code: 0, signal: null });
      expect(lines.includes("stuck")).toBe(ending === "abort");
      // What was stuck is given back.
      expect(JSON.parse(lines.at(-2) ?? "")).toMatchObject({
        waiting: ending === "abort" ? 1 : 0,
        delayed: 1,
        reserved: 0,
      });
    });
  }
}
