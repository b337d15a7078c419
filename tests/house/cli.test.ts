/**
 * What `relevo --help` loads: a clock would fail on a busy machine, and what it takes to load is what it costs. On a quiet
 * one the built program needs some 60 ms of CPU on Node 24, of which an empty program needs 25.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";

/** The files that a file loads before it runs, itself included; types and what is loaded when it is wanted are left out. */
function loadedBy(file: string, found: Set<string> = new Set()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  const source = readFileSync(inRepository(file), "utf8");
  const imports = /^(?:import|export) (?!type\b)(?:[^;"]*? from )?"(\.[^"]+)";/gm;
  for (const [, path = ""] of source.matchAll(imports)) loadedBy(join(dirname(file), path), found);
  return found;
}

test("`relevo --help` loads no relay, no worker and no transport, so that it starts at once", () => {
  const loaded = [...loadedBy("src/cli/bin.ts")];
  expect(loaded).toContain("src/cli/help.ts");
  expect(loaded).toContain("src/operate/table.ts");
  expect(loaded.filter((file) => /^src\/(relay|connect|worker|transports|store|config|cron)\b/.test(file)))
    .toEqual([]);
  expect(loaded.length).toBeLessThan(50);
});
