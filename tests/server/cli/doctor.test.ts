/**
 * docs/guide/doctor.md holds what `relevo doctor` prints on each store; here it is run again, and compared. With RELEVO_WRITE=1
 * the page is written anew. And what the doctor is for: settings that lose jobs, each made and found.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, expect, onTestFinished, test } from "vitest";
import { createRelay, deadLetter, type Finding } from "../../../mod.ts";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { connect } from "../../../src/connect.ts";
import { redis } from "../../../src/transports/redis/mod.ts";
import { free } from "../../web/support/kit.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startRedis } from "../support/servers/redis.ts";
import { startRedisCluster } from "../support/servers/redis_cluster.ts";
import { relevo } from "./support.ts";

const file = inRepository("docs/guide/doctor.md");

/** Bills of which three died of two reasons. */
async function fill(url: string): Promise<void> {
  await using relay = createRelay({
    jobs: { bill: { schema: free<number>(), queue: "billing" } },
    transport: await connect(url),
    log: false,
  });
  relay.handle("bill", (n) => {
    if (n === 0) return deadLetter({ reason: "nothing to pay" });
    throw new TypeError("amount is not a number");
  });
  for (const n of [0, 1, 2]) await relay.dispatch("bill", n, { maxAttempts: 1 });
  await relay.drain();
}

function masked(text: string): string {
  return text.replace(/\d+ MiB/g, "16 MiB").replace(/\d+ % of (.*)\(\d+ of \d+\)/g, "1 % of $1(1 of 100)")
    .replace(/^.*file system .*\n/m, "ok       file system   The file is on a disk of this machine\n");
}

/** Compares the block under a heading with what the command prints on a store, or writes it. */
async function compare(heading: string, url: string): Promise<void> {
  await fill(url);
  const { all, code } = await relevo(["doctor"], { env: { RELEVO_URL: url } });
  const page = readFileSync(file, "utf8");
  const block = new RegExp(`(## ${heading}\\n\\n\`\`\`console\\n\\$ relevo doctor\\n)([\\s\\S]*?)(\`\`\`)`);
  const [, before = "", shown, after = ""] = block.exec(page) ?? [];
  if (process.env.RELEVO_WRITE === "1") {
    writeFileSync(file, page.replace(block, () => before + masked(all) + after));
    return;
  }
  expect(masked(all)).toBe(shown);
  expect(code).toBe(0);
}

/** The findings of the doctor that are not well, by what was looked at. */
async function faults(url: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await relevo(["doctor", "--json"], { env: { RELEVO_URL: url } });
  const findings = stdout.trim().split("\n").map((line): Finding => JSON.parse(line))
    .filter(({ severity }) => severity !== undefined && severity !== "ok");
  return Object.fromEntries(findings.map(({ check, severity, says }) => [check, `${severity}: ${says}`]));
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "relevo-doctor-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe("the doctor on SQLite", () => {
  test("prints what docs/guide/doctor.md shows", () =>
    compare("On SQLite", `sqlite:${join(folder(), "jobs.db")}`));

  test("finds a queue that is nearly full before it refuses, and one that refuses", async () => {
    const url = `sqlite:${join(folder(), "jobs.db")}?maxBytes=1000000`;
    await using relay = createRelay({
      jobs: { mail: free<string>() },
      transport: await connect(url),
      log: false,
    });
    expect(await faults(url)).not.toHaveProperty("space");
    const seen = new Set<string>();
    const text = "x".repeat(20_000);
    for (let full = false; !full;) {
      full = await relay.dispatch("mail", text).then(() => false, () => true);
      seen.add((await faults(url)).space?.split(":")[0] ?? "ok");
    }
    expect([...seen]).toEqual(["ok", "warning", "danger"]);
    expect((await relevo(["doctor"], { env: { RELEVO_URL: url } })).code).toBe(1);
  });

  test("says that a database in memory ends with its process", async () => {
    expect(await faults("sqlite::memory:")).toMatchObject({
      persistence: expect.stringMatching(/^warning: .*ends with it$/),
    });
  });
});

describeOn(["redis7"], "the doctor on Redis", () => {
  const server = owned(() => startRedis());
  test("prints what docs/guide/doctor.md shows", async () => compare("On Redis", (await server()).url));

  test.each(
    [
      [{ maxmemory: "64mb", "maxmemory-policy": "allkeys-lru" }, "eviction", /^danger: .*deletes jobs/],
      [{ appendonly: "no" }, "persistence", /^danger: A restart takes all jobs/],
      [{ appendonly: "no", save: "60 1" }, "persistence", /^warning: .*since the last snapshot/],
      [{ appendfsync: "no" }, "persistence", /^warning: .*power cut/],
      [{ "rename-command": 'CONFIG ""' }, "persistence", /^unseen: .*not visible from here/],
    ] as const,
  )("finds what its settings do to jobs, and what cannot be seen: %j", async (config, check, wanted) => {
    await using own = await startRedis({ config });
    expect((await faults(own.url))[check]).toMatch(wanted);
  });

  test("says what a user may not ask, and where to look instead", async () => {
    await using own = await startRedis({ users: ["app on >secret ~* &* +@all -info -config"] });
    const url = `redis://app:secret@127.0.0.1:${own.port}`;
    expect((await faults(url)).server).toMatch(/^unseen: .*not visible from here/);
    expect((await relevo(["doctor"], { env: { RELEVO_URL: url } })).all).toContain("console of the service");
  });

  test("finds a replica that stopped following", async () => {
    await using replica = await startRedis({
      config: { replicaof: `127.0.0.1 ${(await server()).port}` },
    });
    await expect.poll(async () => (await faults((await server()).url)).replication)
      .toBeUndefined();
    await replica[Symbol.asyncDispose]();
    await expect.poll(async () => (await faults((await server()).url)).replication)
      .toMatch(/no replica/);
  });

  test("tells how far the server's clock is from this machine's", async () => {
    const own = await server();
    const transport = redis({ url: own.url, warn: () => {} });
    await using relay = createRelay({ jobs: {}, transport, log: false });
    const { clock = 0 } = await relay.diagnose();
    expect(Math.abs(clock - Date.now())).toBeLessThan(60_000);
  });
});

describeOn(["redis7"], "the doctor on a Cluster of Redis", () => {
  const cluster = owned(() => startRedisCluster());
  test("looks at each master", async () => {
    const { nodes } = await cluster();
    const url = `redis+cluster://127.0.0.1:${nodes[0]?.port}`;
    const { stdout } = await relevo(["doctor"], { env: { RELEVO_URL: url } });
    const shown = new Set([...stdout.matchAll(/node 127\.0\.0\.1:\d+/g)].map(([node]) => node));
    expect(shown.size).toBe(3);
  });
});

describeOn(["nats"], "the doctor on NATS", () => {
  const server = owned(() => startNats());
  test("prints what docs/guide/doctor.md shows", async () => compare("On NATS", (await server()).url));

  test("finds limits of the account, and of a queue, that are near", async () => {
    await using own = await startNats({ limits: { max_file: "64MB" } });
    const url = `${own.url}?maxBytes=1048576`;
    await using relay = createRelay({
      jobs: { mail: free<string>() },
      transport: await connect(url),
      log: false,
    });
    // Two of the largest jobs must fit into what is left.
    const mails = async (jobs: number): Promise<void> => {
      for (let n = 0; n < jobs; n++) await relay.dispatch("mail", "x".repeat(40_000));
    };
    await mails(12);
    expect(await faults(url)).not.toHaveProperty("queue space");
    await mails(10);
    expect((await faults(url))["queue space"]).toMatch(/^warning: \d+ % of .* of queue 'default' is used/);
  });

  test("finds a queue that is in memory only", async () => {
    await using own = await startNats();
    const url = `${own.url}?storage=memory`;
    await fill(url);
    expect((await faults(url)).persistence).toMatch(
      /^warning: In memory, and gone with the server: 'billing'/,
    );
  });
});
