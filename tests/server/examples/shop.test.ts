/** The shop, as processes of their own: a web server and two workers, over each store. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { startRedis } from "../support/servers/redis.ts";
import { type Child, spawnScript } from "../support/spawn.ts";

/** Starts a program of the shop and waits until it says where it listens. */
async function start(name: "web" | "worker", url: string): Promise<{ child: Child; address: string }> {
  const child = spawnScript(new URL(`../../../examples/shop/${name}.ts`, import.meta.url), [], {
    env: { SHOP_URL: url, SHOP_KEY: "ab".repeat(32), SHOP_ADMIN: "key", SHOP_REPORT_MS: "500", PORT: "0" },
  });
  onTestFinished(() => child[Symbol.asyncDispose]());
  const line = await child.until((text) => text.includes(" on http:"));
  return { child, address: line.slice(line.indexOf("http:")) };
}

async function order(web: string, id: string): Promise<{ code: number; status: string }> {
  const answer = await fetch(`${web}/orders`, {
    method: "POST",
    body: JSON.stringify({ id, email: "ada@example.org", amount: 9.5 }),
  });
  return { code: answer.status, status: (await answer.json() as { status: string }).status };
}

/** What the metrics of a program say of one name and labels. */
async function metric(address: string, start: string): Promise<number> {
  const text = await (await fetch(new URL("/metrics", address))).text();
  return Number(text.split("\n").find((line) => line.startsWith(start))?.split(" ").at(-1) ?? 0);
}

/** Lines of any of the workers, until one is there. */
function said(workers: readonly Child[], wanted: RegExp): Promise<string> {
  return Promise.any(workers.map((child) => child.until((line) => wanted.test(line))));
}

/** Plays a day of the shop; `look` sees what was stored before a worker was there. */
async function play(url: string, look: () => void = () => undefined): Promise<void> {
  const web = await start("web", url);
  expect(await order(web.address, "A1")).toEqual({ code: 202, status: "stored" });
  expect(await order(web.address, "A1")).toEqual({ code: 202, status: "duplicate" });
  expect((await fetch(`${web.address}/orders`, { method: "POST", body: "{}" })).status).toBe(400);
  look();

  const first = await start("worker", url);
  await first.child.until((line) => line === "receipt for order A1 is sent");
  const second = await start("worker", url);
  const workers = [first.child, second.child];
  await said(workers, /^report: \d+ orders wait, 0 failed$/);
  const stored = 'relevo_jobs_dispatched_total{queue="orders",job_type="order.placed",status="stored"}';
  const handled = 'relevo_job_runs_total{queue="mail",job_type="receipt.send",outcome="completed"}';
  await becomes("the web server counts the order", async () => await metric(web.address, stored) === 1);
  await becomes("the worker counts the receipt", async () => await metric(first.address, handled) === 1);
  const operator = { headers: { authorization: "Bearer key" } };
  expect((await fetch(`${web.address}/admin/queues/list`)).status).toBe(403);
  const listed = await fetch(`${web.address}/admin/queues/list`, operator);
  expect(JSON.stringify(await listed.json())).toContain('"orders"');

  for (const child of [web.child, ...workers]) child.kill("SIGTERM");
  for (const child of [web.child, ...workers]) {
    expect(await child.exited, child.stderr()).toEqual({ code: 0, signal: null });
    expect(child.stderr()).not.toContain("ada@example.org");
  }
}

test(
  "the shop takes an order, handles it, reports, shows metrics and stops, over a SQLite file that tells no address",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "relevo-shop-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "shop.db");
    await play(`sqlite:${encodeURIComponent(path)}`, () => {
      const stored = readFileSync(path, "latin1") + readFileSync(`${path}-wal`, "latin1");
      expect(stored).toContain("order.placed");
      expect(stored).not.toContain("ada@example.org");
    });
  },
  120_000,
);

describeOn(["redis7"], "On a server of Redis", () => {
  const server = owned(() => startRedis());
  test("the shop does the same, by one variable", async () => await play((await server()).url), 120_000);
});

describeOn(["nats"], "On a server of NATS", () => {
  const server = owned(() => startNats());
  test("the shop does the same, by one variable", async () => await play((await server()).url), 120_000);
});
