/**
 * The program `relevo` itself, as a process: in a pseudo-terminal that `script` of util-linux makes, and how long it takes
 * to say how it is used.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter, type Relay } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { connect } from "../../../src/connect.ts";
import { free } from "../../web/support/kit.ts";

type Mails = { readonly mail: ReturnType<typeof free<number>> };

/** The command line of this runtime for a program of TypeScript. */
const runtime = "Deno" in globalThis
  ? [process.execPath, "run", "-A", "--no-lock"]
  : [process.execPath, ...("Bun" in globalThis ? ["run"] : ["--disable-warning=ExperimentalWarning"])];
const bin = inRepository("src/cli/bin.ts");

interface Place {
  readonly url: string;
  use<Value>(work: (relay: Relay<Mails>) => Promise<Value>): Promise<Value>;
}

function place(): Place {
  const folder = mkdtempSync(join(tmpdir(), "relevo-terminal-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `sqlite:${join(folder, "jobs.db")}`;
  return {
    url,
    async use(work) {
      await using relay = createRelay({
        jobs: { mail: free<number>() },
        transport: await connect(url),
        log: false,
      });
      return await work(relay);
    },
  };
}

interface Terminal {
  /** Resolves when what was shown so far has this in it. */
  shows(text: RegExp): Promise<string>;
  type(text: string): void;
  /** Resolves with the exit code and all that was shown. */
  readonly ended: Promise<{ readonly code: number | null; readonly shown: string }>;
}

/** Runs a command line in a pseudo-terminal. */
function inTerminal(argv: readonly string[], url: string): Terminal {
  const line = [...runtime, bin, ...argv].map((word) => `'${word}'`).join(" ");
  // `script` gives its command a terminal, and passes on what it shows and what is typed. `exec`: a shell that stays between
  // them, as /bin/sh of Debian does, would be ended by Ctrl-C too, and its exit code would be told.
  const child: ChildProcess = spawn("script", ["-qefc", `exec ${line}`, "/dev/null"], {
    env: { ...process.env, RELEVO_URL: url, NO_COLOR: "1" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let shown = "";
  const waiters = new Set<() => void>();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
    for (const check of waiters) check();
  });
  return {
    shows: (text) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!text.test(shown)) return;
          waiters.delete(check);
          resolve(shown);
        };
        waiters.add(check);
        check();
      }),
    type: (text) => void child.stdin?.write(text),
    ended: new Promise((resolve) => child.once("close", (code) => resolve({ code, shown }))),
  };
}

/** What a terminal's cursor is told before a live table is shown anew. */
const ANEW = "\u001b[H\u001b[J";

test("a live table in a terminal is written over itself, follows the store, and ends with Ctrl-C", async () => {
  const { url, use } = place();
  await use((relay) => relay.dispatch("mail", 1));
  const terminal = inTerminal(["queues", "--watch"], url);
  await terminal.shows(/default +1 /);
  await use((relay) => relay.dispatch("mail", 2));
  await terminal.shows(/default +2 /);
  terminal.type("\u0003");
  const { code, shown } = await terminal.ended;
  expect(code).toBe(0);
  expect(shown.split(ANEW).length).toBeGreaterThan(2);
  // Nothing stays behind that would make the terminal odd: no other screen, no hidden cursor.
  expect(shown).not.toContain("\u001b[?");
});

test("in a terminal a removal is asked for after its count and sample, and only a yes removes", async () => {
  const { url, use } = place();
  await use(async (relay) => {
    relay.handle("mail", () => deadLetter({ reason: "refused" }));
    for (const n of [1, 2]) await relay.dispatch("mail", n);
    await relay.drain();
  });
  for (
    const [answer, said, left] of [["n\r", "Nothing was removed.", 2], ["y\r", "2 jobs removed", 0]] as const
  ) {
    const terminal = inTerminal(["dead", "remove"], url);
    expect(await terminal.shows(/\[y\/N\] /)).toMatch(/to be removed: 2 jobs[\s\S]*refused/);
    terminal.type(answer);
    const { code, shown } = await terminal.ended;
    expect([code, shown]).toEqual([0, expect.stringContaining(said)]);
    expect(await use((relay) => relay.info())).toMatchObject({ failed: left });
  }
});

/** Runs the program without a terminal. */
function plainly(argv: readonly string[]): Promise<{ code: number | null; stdout: string }> {
  const [command = "", ...args] = [...runtime, bin, ...argv];
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
    child.once("close", (code) => resolve({ code, stdout }));
  });
}

test("the program says how it is used, and that a command is none, on this runtime", async () => {
  expect(await plainly(["--help"])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Usage: relevo <command>"),
  });
  expect((await plainly(["dead", "lst"])).code).toBe(2);
});
