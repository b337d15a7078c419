/** What a complete run keeps for one that goes on where it stopped: never a word about other files than these. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openKept, type Shown } from "../../scripts/lib/kept.mjs";

const GREEN: Shown = {
  counts: { passed: 3, failed: 0, skipped: 0 },
  shown: new Map([["a row", new Set(["Redis"])]]),
  ms: 5_000,
};

function git(folder: string, ...args: readonly string[]): void {
  const author = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"];
  execFileSync("git", [...author, ...args], { cwd: folder, stdio: "ignore" });
}

/** A repository with one file, and what its run kept of the suite `one`. */
function repository(): string {
  const folder = mkdtempSync(join(tmpdir(), "relevo-kept-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, ".gitignore"), "node_modules\n");
  writeFileSync(join(folder, "source.ts"), "1");
  git(folder, "init");
  commit(folder);
  openKept(folder, false).keep("one", GREEN);
  return folder;
}

function commit(folder: string): void {
  git(folder, "add", "-A");
  git(folder, "commit", "--allow-empty", "-m", "work");
}

test("a suite that passed at this very tree is known to a run that goes on, with what it showed", () => {
  const kept = openKept(repository(), true);
  expect(kept.of("one")).toMatchObject({ counts: GREEN.counts, ms: 5_000 });
  expect(kept.of("one")?.shown).toEqual([["a row", ["Redis"]]]);
  expect(kept.of("two")).toBeUndefined();
});

test("a run that does not go on knows nothing, and forgets what it finds", () => {
  const folder = repository();
  const kept = openKept(folder, false);
  expect(kept.of("one")).toBeUndefined();
  kept.keep("two", GREEN);
  const next = openKept(folder, true);
  expect([next.of("one"), next.of("two")?.ms]).toEqual([undefined, 5_000]);
});

test("nothing is known of another tree, and nothing is kept of files that git does not know", () => {
  const folder = repository();
  writeFileSync(join(folder, "source.ts"), "2");
  const changed = openKept(folder, true);
  changed.keep("two", GREEN);
  expect([changed.tree, changed.of("one"), changed.of("two")]).toEqual([undefined, undefined, undefined]);
  commit(folder);
  expect(openKept(folder, true).of("one")).toBeUndefined();
  writeFileSync(join(folder, "source.ts"), "1");
  commit(folder);
  // The same files under another commit.
  expect(openKept(folder, true).of("one")?.ms).toBe(5_000);
  writeFileSync(join(folder, "new.ts"), "");
  expect(openKept(folder, true).of("one")).toBeUndefined();
});

test("what changed a file, failed or skipped a test is not kept", () => {
  const folder = repository();
  const kept = openKept(folder, true);
  kept.keep("failed", { ...GREEN, counts: { passed: 3, failed: 1, skipped: 0 } });
  kept.keep("skipped", { ...GREEN, counts: { passed: 3, failed: 0, skipped: 1 } });
  writeFileSync(join(folder, "source.ts"), "2");
  kept.keep("changing", GREEN);
  git(folder, "checkout", "source.ts");
  const next = openKept(folder, true);
  expect(["failed", "skipped", "changing"].map((name) => next.of(name))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("a folder without git keeps nothing", () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-kept-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const kept = openKept(folder, true);
  kept.keep("one", GREEN);
  expect([kept.tree, openKept(folder, true).of("one")]).toEqual([undefined, undefined]);
});
