/** A store of 1,000 queues, a million waiting jobs and 100,000 dead ones, as an operator reads it. Times are printed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRelay, type Transport } from "../../../mod.ts";
import type { PageOutput } from "../../../src/operate/jobs.ts";
import { operationOf } from "../../../src/operate/table.ts";
import { prometheus } from "../../../src/prometheus/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { FAILED, WAITING } from "../../../src/transports/sqlite/model/schema.ts";
import { sqlite } from "../../../src/transports/sqlite/mod.ts";

const QUEUES = 1_000;
const WAIT = 1_000_000;
const DEAD = 100_000;
const PAGE = 100;
/** How often each time is taken: the least says what it costs, as other work on the machine only adds. */
const TRIES = 5;

const folder = mkdtempSync(join(tmpdir(), "relevo-sizes-"));
const path = join(folder, "jobs.db");
const dead = `'{"v":1,"dead":{"channel":"failed","reason":"refused","at":1764417600000,"lost":0}}'`;

/** All rows in three statements: to dispatch them one by one would take longer than all that is tested here. */
async function fill(transport: Transport): Promise<void> {
  await transport.queues({ deadline: 60_000 });
  const database = new DatabaseSync(path);
  database.exec(`
PRAGMA synchronous = off;
BEGIN;
INSERT INTO relevo_entries (queue, state, time, due, id, name, meta, payload)
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${WAIT - 1})
  SELECT 'queue ' || (i % ${QUEUES}), ${WAITING}, i, i, 'w' || i, 'mail', '', x'31' FROM n;
INSERT INTO relevo_entries (queue, state, time, due, id, name, reason, meta, payload)
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${DEAD - 1})
  SELECT 'queue 0', ${FAILED}, i, i, 'd' || i, 'mail', 'refused', ${dead}, x'31' FROM n;
INSERT INTO relevo_queues (queue, waiting, delayed, reserved, failed, timeout)
  SELECT queue, sum(state = ${WAITING}), 0, 0, sum(state = ${FAILED}), 0 FROM relevo_entries GROUP BY queue;
COMMIT;`);
  database.close();
}

const transport = sqlite({ path, durability: "normal" });
const relay = createRelay({ jobs: {}, transport, log: false });
const desk = { relay, now: Date.now };

beforeAll(() => fill(transport), 300_000);
afterAll(async () => {
  await relay.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The least milliseconds of some tries. */
async function least(work: () => unknown): Promise<number> {
  let best = Infinity;
  for (let turn = 0; turn < TRIES; turn++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

test("the counts of 1,000 queues with a million waiting jobs take less than 2 s", async () => {
  const list = operationOf("queues.list");
  const { queues } = await list.run(desk, {}) as { readonly queues: readonly { readonly waiting: number }[] };
  expect(queues.length).toBe(QUEUES);
  expect(queues.reduce((sum, { waiting }) => sum + waiting, 0)).toBe(WAIT);
  const ms = await least(() => list.run(desk, {}));
  console.log(`queues: ${ms.toFixed(1)} ms`);
  expect(ms).toBeLessThan(2_000);
}, 120_000);

test(
  "a page of 100,000 dead jobs takes less than 100 ms, and as long at the end as at the beginning",
  async () => {
    const list = operationOf("dead.list");
    const pageAt = async (cursor: string | undefined): Promise<PageOutput> =>
      await list.run(desk, {
        queue: "queue 0",
        limit: PAGE,
        ...cursor === undefined ? {} : { cursor },
      }) as PageOutput;
    const cursors: (string | undefined)[] = [undefined];
    let listed = 0;
    for (let page = await pageAt(undefined);; page = await pageAt(page.cursor)) {
      listed += page.jobs.length;
      if (page.cursor === undefined) break;
      cursors.push(page.cursor);
    }
    expect(listed).toBe(DEAD);
    const times = [];
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const cursor = cursors[Math.floor(part * (DEAD / PAGE - 1))];
      times.push(await least(() => pageAt(cursor)));
    }
    console.log(`dead list: ${times.map((ms) => ms.toFixed(1)).join(", ")} ms`);
    expect(Math.max(...times)).toBeLessThan(100);
    // A page that walked past all before it would take hundreds of times as long as the first.
    expect(Math.max(...times)).toBeLessThan(20 * Math.min(...times));
  },
  300_000,
);

test(
  "a scrape of 1,000 queues takes less than 100 ms and asks the store nothing; an interval asks it once",
  async () => {
    const runtime = createFakeRuntime();
    const asked = { queues: 0, info: 0 };
    const counted: typeof relay = {
      ...relay,
      queues(options) {
        asked.queues++;
        return relay.queues(options);
      },
      info(queue, options) {
        asked.info++;
        return relay.info(queue, options);
      },
    };
    using metrics = prometheus(counted, { runtime, interval: 15_000 });
    const shows = (): boolean => metrics.text().includes(`{queue="queue ${QUEUES - 1}",channel="waiting"}`);
    await expect.poll(shows, { timeout: 60_000 }).toBe(true);
    expect(asked).toEqual({ queues: 1, info: QUEUES });
    let bytes = 0;
    const ms = await least(async () => {
      bytes = (await metrics.fetch().text()).length;
    });
    console.log(`scrape: ${ms.toFixed(1)} ms, ${bytes} bytes`);
    expect(ms).toBeLessThan(100);
    expect(asked).toEqual({ queues: 1, info: QUEUES });
    await runtime.advance(15_000);
    await expect.poll(() => asked, { timeout: 60_000 }).toEqual({ queues: 2, info: 2 * QUEUES });
  },
  120_000,
);
