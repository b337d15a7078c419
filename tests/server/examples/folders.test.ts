import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { createFiles, dispatchAll } from "../../../examples/main/jobs.ts";
import { createScreen } from "../../../examples/main/progress.ts";
import { openStore, prepareFile } from "../../../examples/main/store.ts";
import { printable } from "../../../examples/main/text.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";
import { finish, kept, makePlace, type Place, start } from "./support.ts";

const isDeno = "deno" in process.versions;
/** Root may read everything. */
const isRoot = process.getuid?.() === 0;

/** Everything that a folder may hold against those who read it; Deno knows only names that are text. */
function makeOdd(folder: string): { readonly good: number; readonly dead: Readonly<Record<string, string>> } {
  const good = [
    "a.txt",
    "b.txt",
    "with space",
    "new\nline",
    "\u001b[31mred\r",
    "ünïcode 日本 😀",
    "#?%41",
    "-dash",
  ];
  good.push("x".repeat(255), "\u202egpj.exe", "back\\slash");
  for (const name of good) writeFileSync(join(folder, name), "the same");
  let more = 1;
  if (!isDeno) {
    more++;
    writeFileSync(
      Buffer.concat([Buffer.from(folder), Buffer.from("/bad"), Buffer.from([0xff, 0xfe])]),
      "the same",
    );
  }
  writeFileSync(join(folder, "locked"), "the same");
  chmodSync(join(folder, "locked"), 0);
  let deep = folder;
  for (let level = 0; level < 20; level++) mkdirSync(deep = join(deep, "d".repeat(60)));
  writeFileSync(join(deep, "deep"), "the same");
  mkdirSync(join(folder, "sub", "empty"), { recursive: true });
  symlinkSync("..", join(folder, "sub", "up"));
  symlinkSync("nowhere", join(folder, "dangling"));
  symlinkSync("loop", join(folder, "loop"));
  symlinkSync("/dev/zero", join(folder, "endless"));
  execFileSync("mkfifo", [join(folder, "fifo")]);
  writeFileSync(join(folder, "sparse"), "");
  truncateSync(join(folder, "sparse"), 2 ** 31);
  return {
    good: good.length + more + (isRoot ? 1 : 0),
    dead: {
      dangling: "dangling-link",
      loop: "link-loop",
      endless: "not-a-file",
      fifo: "not-a-file",
      sparse: "too-large",
      ...(isRoot ? {} : { locked: "unreadable" }),
    },
  };
}

/** What a process does that is killed when it has dispatched everything. */
async function dispatchOnly({ folder, database }: Place): Promise<void> {
  prepareFile(database, false);
  const files = createFiles(sqlite({ path: database }));
  await files.queues();
  const store = await openStore(database);
  await dispatchAll({ files, store, folder }, await store.start(), () => {}, new AbortController().signal);
  store.close();
  await files.close();
}

test("whatever is in a folder is measured or dead with its reason, and nothing hangs", async () => {
  const place = makePlace();
  const { good, dead } = makeOdd(place.folder);
  const { code, lines, errors, table } = await finish(start(place));
  expect(code, errors).toBe(0);
  expect(table).toMatchObject({ files: `${good}`, dead: `${Object.keys(dead).length}` });
  expect(table.bytes).toBe(`${good * "the same".length}`);
  expect(table.duplicates).toMatch(new RegExp(`^${good - 1} `));
  expect(table["left out"]).toBe("links to folders, not followed: 1");
  const reasons = kept(place).dead.map((row) => row as { path: string; reason: string });
  expect(Object.fromEntries(reasons.map(({ path, reason }) => [path, reason]))).toEqual(dead);
  for (const [name, reason] of Object.entries(dead)) {
    expect(lines.filter((line) => line.startsWith(`  ${name}: ${reason} (`))).toHaveLength(1);
  }
});

test("a file that is deleted after it was dispatched is a dead letter, and listing again adds no job", async () => {
  const place = makePlace();
  for (const name of ["stays", "goes\u001b[2J"]) writeFileSync(join(place.folder, name), name);
  await dispatchOnly(place);
  await dispatchOnly(place);
  rmSync(join(place.folder, "goes\u001b[2J"));
  const { code, lines, table } = await finish(start(place));
  expect(code).toBe(0);
  expect(lines[0]).toMatch(/^Continuing run 1 /);
  expect(lines).toContain("  goes\\u{1b}[2J: gone (it was deleted after it had been listed)");
  expect(table).toMatchObject({ files: "1", dead: "1" });
});

test("a larger limit lets a large file pass, a piece at a time", async () => {
  const place = makePlace();
  writeFileSync(join(place.folder, "large"), "");
  truncateSync(join(place.folder, "large"), 70 * 2 ** 20);
  const { table } = await finish(start(place));
  expect(table).toMatchObject({ files: "0", dead: "1" });
  const again = await finish(start(place, [place.folder, "--limit", "80"]));
  expect(again.table).toMatchObject({ files: "1", bytes: "73,400,320 (70 MiB)", dead: "0" });
});

test("an empty folder is a run with nothing in it", async () => {
  const { code, table } = await finish(start(makePlace()));
  expect(code).toBe(0);
  expect(table).toMatchObject({ files: "0", bytes: "0", dead: "0" });
});

test("a database that is none is told, and --fresh makes a new one", async () => {
  const place = makePlace();
  prepareFile(place.database, false);
  writeFileSync(place.database, "no database");
  const { code, errors } = await finish(start(place));
  expect(errors).toMatch(/^Failed: .* corrupt[^]*--fresh/);
  expect(code).toBe(1);
  expect((await finish(start(place, [place.folder, "--fresh"]))).code).toBe(0);
});

test("wrong input is told in one line", async () => {
  const place = makePlace();
  const file = join(place.folder, "file");
  writeFileSync(file, "");
  const wrong: readonly (readonly [string[], string])[] = [
    [[join(place.folder, "missing\u001b[1m")], "it does not exist"],
    [[file], "it is no folder"],
    [[place.folder, place.folder], "2 folders"],
    [["--folder", place.folder], "--folder"],
    [[place.folder, "--limit", "none"], "--limit"],
    [[""], "without a name"],
  ];
  await Promise.all(wrong.map(async ([args, wanted]) => {
    const { code, lines, errors } = await finish(start(place, args));
    expect(lines).toEqual([]);
    expect(errors).toContain(wanted);
    // What Node adds about options that were meant as folders.
    expect(errors).not.toContain("positional");
    expect(errors.trimEnd().split("\n")).toHaveLength(1);
    expect(errors).not.toContain("\u001b");
    expect(code).toBe(2);
  }));
});

test("elsewhere than on a terminal progress is plain lines, one for every twentieth", async () => {
  const place = makePlace();
  for (let index = 0; index < 40; index++) writeFileSync(join(place.folder, `${index}`), "");
  const { lines } = await finish(start(place));
  expect(lines.join("")).not.toContain("\r");
  expect(lines.join("")).not.toContain("\u001b");
  const progress = lines.filter((line) => line.startsWith("handled"));
  expect(progress.length).toBeLessThanOrEqual(21);
  expect(progress.at(-1)).toMatch(/^handled 40 of 40 \(100 %\), /);
});

test("on a terminal progress is one line that never wraps", () => {
  let written = "";
  const terminal = {
    isTTY: true,
    columns: 30,
    write: (text: string | Uint8Array) => (written += text, true),
  };
  const screen = createScreen(terminal);
  for (const count of [1, 2]) screen.show(`handled ${count} of 2, and much more than fits`);
  terminal.columns = 10;
  screen.show("handled 2 of 2");
  screen.end();
  screen.end();
  expect(written).toBe(
    "\rhandled 1 of 2, and much more\u001b[K\rhandled 2 of 2, and much more\u001b[K\rhandled 2\u001b[K\n",
  );
});

test("a printed name moves no cursor, breaks no line and turns no text round", () => {
  expect(printable("a\u001b[2J\r\n\u202eb\u2028\u009bc\\")).toBe(
    "a\\u{1b}[2J\\u{d}\\n\\u{202e}b\\u{2028}\\u{9b}c\\\\",
  );
  expect(printable("\ud800ünï 😀")).toBe("\ufffdünï 😀");
  expect(printable("x".repeat(5_000)).length).toBeLessThan(250);
});
