/**
 * docs/guide/on_call.md is a night on call, told by what the commands print. Here the night happens: before the commands
 * of a block are run, what happened meanwhile is done. With RELEVO_WRITE=1 the page is written anew.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { connect } from "../../../src/connect.ts";
import { prometheus } from "../../../src/prometheus/mod.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { free } from "../../web/support/kit.ts";
import { relevo, words } from "./support.ts";

const file = inRepository("docs/guide/on_call.md");
const BLOCK = /^```console\n([\s\S]*?)^```$/gm;
const LIMIT = 2_000_000;

interface Mail {
  readonly to: string;
  readonly name?: string;
}

/** A shop on a store, as it is deployed: with the template of yesterday or of today. */
async function shop(url: string, template: "old" | "new", now?: () => number) {
  const runtime = now === undefined ? {} : { runtime: { ...systemRuntime(), now } };
  const relay = createRelay({
    jobs: {
      mail: { schema: free<Mail>(), queue: "mail", maxAttempts: 1 },
      report: { schema: free<number>(), queue: "reports" },
      export: { schema: free<string>(), queue: "exports", maxAttempts: 1 },
    },
    transport: await connect(url, runtime),
    log: false,
    ...runtime,
  });
  relay.handle("mail", ({ to, name }) => {
    if (to === "") return deadLetter({ reason: "no address" });
    if (template === "new" && name === undefined) throw new TypeError("the template lacks 'name'");
    return undefined;
  });
  return relay;
}

type Shop = Awaited<ReturnType<typeof shop>>;

/** The night, block by block. */
function night(url: string): readonly (() => Promise<void>)[] {
  const using = async (relay: Promise<Shop>, work: (relay: Shop) => Promise<unknown>): Promise<void> => {
    await using open = await relay;
    await work(open);
  };
  const pause = (): Promise<void> => Promise.resolve();
  const mended = (): Promise<void> => using(shop(url, "old"), (relay) => relay.drain({ queues: ["mail"] }));
  return [
    () =>
      using(shop(url, "new"), async (relay) => {
        for (let n = 1; n <= 12; n++) {
          await relay.dispatch("mail", { to: n === 5 ? "" : `customer-${n}@example.org` }, {
            id: `mail-${n}`,
          });
        }
      }),
    pause,
    pause,
    mended,
    () =>
      using(shop(url, "old", () => Date.now() - 42 * 60_000), async (relay) => {
        for (let n = 1; n <= 5; n++) await relay.dispatch("report", n, { id: `report-${n}` });
      }),
    () =>
      using(shop(url, "old"), async (relay) => {
        relay.handle("report", () => {});
        await relay.drain({ queues: ["reports"] });
      }),
    () =>
      using(shop(url, "old"), async (relay) => {
        relay.handle("export", () => Promise.reject(new Error("the bucket is gone")));
        for (let full = false; !full;) {
          const rows = "row;".repeat(10_000);
          full = await relay.dispatch("export", rows).then(() => false, ({ code }) =>
            code === "TRANSPORT_FULL");
          await relay.drain({ queues: ["exports"] });
        }
      }),
    pause,
  ];
}

/** What a line of the page prints; `curl` asks the metrics of a shop that has just looked at its queues. */
async function printed(line: string, url: string, scrape: () => Promise<string>): Promise<string> {
  const [program, ...argv] = words(line);
  if (program === "relevo") return (await relevo(argv, { env: { RELEVO_URL: url } })).all;
  expect(program).toBe("curl");
  const pattern = new RegExp((argv.at(-1) ?? "").replace(/\\([(|)])/g, "$1"));
  return (await scrape()).split("\n").filter((each) => pattern.test(each)).map((each) => `${each}\n`).join(
    "",
  );
}

function masked(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, "2026-11-29 02:10:00Z")
    .replace(/--cursor \S+$/gm, "--cursor failed:1796212800000")
    .replace(/ +\d+ (ms|s)$/gm, "       12 ms")
    .replace(/(wait_seconds\S* )[\d.]+/g, "$12520.4")
    .replace(/^ +at .*\n/gm, "")
    .replace(/^(request id +)\w{26}$/gm, "$101KB8QZ0000000000000000000")
    .replace(/\d+ MiB/g, "16 MiB")
    .replace(/^(ok .*) \d+ % of (.*)\(\d+ of \d+\)/gm, "$1 12 % of $2(240000 of 2000000)")
    .replace(/^(DANGER .*) \d+ % of (.*)\(\d+ of \d+\)/gm, "$1 97 % of $2(1940000 of 2000000)")
    .replace(/^\S+ +(file system|disk|log) .*\n( {10,}.*\n)?/gm, "")
    .replace(/\b(4\d|5\d) ('export'|dead|jobs?\b|of 'export')/g, "47 $2");
}

test("the night on call goes as docs/guide/on_call.md tells it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "relevo-night-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const url = `sqlite:${join(folder, "jobs.db")}?maxBytes=${LIMIT}`;
  await using workers = await shop(url, "new");
  using metrics = prometheus(workers, { interval: 50 });
  /** The page once the queues were looked at after it was asked for, as it was then: the next may lack a late look. */
  const scrape = async (): Promise<string> => {
    const queues = await workers.queues();
    const counts = await Promise.all(
      queues.map(async (queue) => [queue, await workers.info(queue)] as const),
    );
    const wanted = counts.map(([queue, { failed }]) => `{queue="${queue}",channel="failed"} ${failed}`);
    let text = "";
    await expect.poll(() => {
      text = metrics.text();
      return wanted.every((line) => text.includes(line));
    }, { timeout: 10_000 }).toBe(true);
    return text;
  };
  const page = readFileSync(file, "utf8");
  const acts = night(url);
  const blocks = [...page.matchAll(BLOCK)].map(([, block = ""]) => block);
  expect(blocks.length).toBe(acts.length);
  const anew: string[] = [];
  for (const [index, block] of blocks.entries()) {
    await acts[index]?.();
    // The shop's own workers are those of the new template, until it is rolled back.
    if (index === 0) await workers.drain({ queues: ["mail"] });
    let text = "";
    for (const line of [...block.matchAll(/^\$ (.*)$/gm)].map(([, each = ""]) => each)) {
      text += `$ ${line}\n${masked(await printed(line, url, scrape))}`;
      // What is reloaded is taken at once, by the workers that have the old template.
      if (/dead reload/.test(line)) await acts[3]?.();
    }
    anew.push(text);
  }
  if (process.env.RELEVO_WRITE === "1") {
    let next = 0;
    return writeFileSync(file, page.replace(BLOCK, () => `\`\`\`console\n${anew[next++]}\`\`\``));
  }
  expect(anew).toEqual(blocks);
});
