/**
 * docs/cli.md holds what the commands print; here they are run again on SQLite, Redis and NATS, and compared. With
 * RELEVO_WRITE=1 the page is written anew from what they print on SQLite.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter, every, reschedule } from "../../../mod.ts";
import { connect } from "../../../src/connect.ts";
import { cron } from "../../../src/cron/mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { free } from "../../web/support/kit.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startRedis } from "../support/servers/redis.ts";
import { relevo, words } from "./support.ts";

const file = inRepository("docs/cli.md");
const page = readFileSync(file, "utf8");
const BLOCK = /^```console\n([\s\S]*?)^```$/gm;

/** The commands of a block, each with what it prints. */
function commandsOf(block: string): readonly { readonly line: string; readonly printed: string }[] {
  return block.split(/^\$ /m).slice(1).map((entry) => {
    const [line = "", ...printed] = entry.split("\n");
    return { line, printed: printed.join("\n") };
  });
}

const commands = [...page.matchAll(BLOCK)].flatMap(([, block = ""]) => commandsOf(block));

/** The store that the page's commands look at: mails that wait, one that is delayed, bills that died. */
async function fill(url: string): Promise<void> {
  const transport = await connect(url);
  await using relay = createRelay({
    jobs: {
      "mail.send": { schema: free<object>(), queue: "mail" },
      bill: { schema: free<object>(), queue: "billing" },
    },
    transport,
    recurrences: [cron],
    log: false,
  });
  relay.handle("bill", ({ amount }: { amount?: number }) => {
    if (amount === 0) return deadLetter({ reason: "nothing to pay", error: new Error("the amount is 0") });
    if (amount === undefined) throw new TypeError("amount is not a number");
    return reschedule(every(86_400_000));
  });
  const once = { maxAttempts: 1 };
  await relay.dispatch("bill", { amount: 0 }, { id: "bill-1" });
  await relay.dispatch("bill", { order: "A7" }, { id: "bill-2", ...once });
  await relay.dispatch("bill", { order: "A8" }, { id: "bill-3", ...once });
  await relay.drain({ queues: ["billing"], concurrency: 1 });
  await relay.dispatch("mail.send", { to: "ada@example.org" }, { id: "mail-1", requestId: "sign-up 17" });
  await relay.dispatch("mail.send", { to: "bob@example.org" }, { id: "mail-2" });
  await relay.dispatch("mail.send", { to: "cy@example.org" }, { id: "mail-3", delay: 3_600_000 });
  await relay.schedule("bill", { amount: 9 }, {
    key: "nightly",
    when: cron("30 2 * * *", { timeZone: "Europe/Berlin" }),
  });
}

/** Times differ from run to run, and what stands behind `at` of a stack from place to place. */
function masked(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, "2026-11-29 12:00:00Z")
    .replace(/"oldest":\d+(\.\d+)?/g, '"oldest":12')
    .replace(/--cursor \S+$/gm, "--cursor failed:1796212800000")
    .replace(/"(createdAt|due|at)":\d+(\.\d+)?/g, '"$1":1796212800000')
    .replace(/ +\d+ (ms|s|min)$/gm, "       12 ms")
    .replace(/^ +at .*\n/gm, "")
    .replace(/"stack":"[^"]*"/g, '"stack":"..."')
    .replace(/"requestId":"\w{26}"/g, '"requestId":"01KB8QZ0000000000000000000"')
    .replace(/^(request id +)\w{26}$/gm, "$101KB8QZ0000000000000000000")
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:6379");
}

/** What each command of the page prints on a store, by its place. */
async function replay(url: string): Promise<readonly string[]> {
  await fill(url);
  const all: string[] = [];
  for (const { line } of commands) {
    const [program, ...argv] = words(line);
    expect(program).toBe("relevo");
    all.push(masked((await relevo(argv, { env: { RELEVO_URL: url } })).all));
  }
  return all;
}

function compare(printed: readonly string[]): void {
  for (const [index, { line, printed: wanted }] of commands.entries()) {
    expect(`$ ${line}\n${printed[index]}`).toBe(`$ ${line}\n${wanted}`);
  }
}

function write(printed: readonly string[]): void {
  let index = 0;
  const anew = page.replace(BLOCK, (_, block: string) => {
    const lines = commandsOf(block).map(({ line }) => `$ ${line}\n${printed[index++]}`);
    return `\`\`\`console\n${lines.join("")}\`\`\``;
  });
  writeFileSync(file, anew);
}

test("the page shows each command that reads or writes jobs", () => {
  const shown = commands.map(({ line }) => line);
  for (
    const command of [
      "queues",
      "jobs list",
      "jobs show",
      "jobs remove",
      "dead list",
      "dead show",
      "dead reload",
      "dead remove",
    ]
  ) {
    expect(shown.some((line) => line.startsWith(`relevo ${command}`)), command).toBe(true);
  }
});

describe("what docs/cli.md shows is what the commands print", () => {
  test("on SQLite", async () => {
    const folder = mkdtempSync(join(tmpdir(), "relevo-cli-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const printed = await replay(`sqlite:${join(folder, "jobs.db")}`);
    if (process.env.RELEVO_WRITE === "1") return write(printed);
    compare(printed);
  });
});

describeOn(["redis7"], "what docs/cli.md shows is what the commands print", () => {
  const server = owned(() => startRedis());
  test("on Redis", async () => compare(await replay((await server()).url)));
});

describeOn(["nats"], "what docs/cli.md shows is what the commands print", () => {
  const server = owned(() => startNats());
  test("on NATS", async () => compare(await replay((await server()).url)));
});
