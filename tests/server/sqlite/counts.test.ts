import { expect, test } from "vitest";
import { CHANNELS } from "../../../src/jobs/job.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { call, connection, job, newFile, now, open } from "./support.ts";

test("counters equal counts after a random walk of 2,000 operations, lost leases and due times included", async () => {
  const path = newFile();
  const runtime = createFakeRuntime();
  const transport = open({ path, runtime });
  await transport.queues(call);
  const database = connection(path);
  let seed = 7;
  const roll = (sides: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(seed / 65_536) % sides;
  };
  const queues = ["a", "b"];
  const held: Delivery[] = [];
  const count = database.prepare(
    "SELECT count(*) AS n FROM relevo_entries WHERE queue = ? AND state IN (?, ?)",
  );
  const counted = (queue: string, ...states: [number, number]): unknown => count.get(queue, ...states)?.n;
  const done = <T>(promise: Promise<T>): Promise<T> => runtime.settle().then(() => promise);
  for (let step = 0; step < 2_000; step++) {
    const queue = queues[roll(2)] ?? "a";
    const delivery = held[roll(Math.max(1, held.length))];
    switch (roll(9)) {
      case 0:
      case 1:
        await done(
          transport.push([job({ queue, id: `${roll(50)}`, idWindow: roll(2_000) }), job({ queue })], call),
        );
        break;
      case 2:
        await done(transport.push([job({ queue, delay: roll(3_000) })], call));
        break;
      case 3:
      case 4:
        held.push(
          ...await done(
            transport.reserve([queue], {
              ...now,
              limit: 1 + roll(4),
              slots: roll(3),
              lease: 1 + roll(2_000),
            }),
          ),
        );
        break;
      case 5: {
        if (delivery === undefined) break;
        const { queue, token } = delivery;
        const endings = [
          { to: "done" },
          { to: "release" },
          { to: "again", meta: "m", delay: roll(2_000) },
          { to: "failed", meta: "m", reason: "r" },
          { to: "timeout", meta: "m", reason: "r" },
        ] as const;
        await done(transport.settle([{ queue, token, ...endings[roll(5)] ?? endings[0] }], call));
        break;
      }
      case 6:
        await runtime.advance(roll(700));
        break;
      case 7: {
        const reload = transport.reload(queue, roll(2) === 0 ? "failed" : "timeout", "all", {
          ...call,
          reset: roll(2) === 0,
        });
        await done(reload);
        break;
      }
      case 8:
        if (roll(4) === 0) {
          await done(transport.remove(queue, CHANNELS[roll(5)] ?? "waiting", { name: "n" }, call));
        }
        break;
    }
  }
  for (const queue of queues) {
    const info = await done(transport.info(queue, call));
    const row = database.prepare("SELECT * FROM relevo_queues WHERE queue = ?").get(queue);
    expect(row).toMatchObject({
      waiting: counted(queue, 2, 3),
      delayed: counted(queue, 4, 4),
      reserved: counted(queue, 5, 5),
      failed: counted(queue, 6, 6),
      timeout: counted(queue, 7, 7),
    });
    for (const channel of CHANNELS) {
      const { entries } = await done(transport.list(queue, channel, { limit: 10_000, preview: 0 }, call));
      expect(entries.length, channel).toBe(info[channel]);
    }
  }
});

test("a job due before the epoch is listed and removed as any other", async () => {
  const transport = open({ path: newFile() });
  await transport.push([job({ id: "1", at: -5_000 })], call);
  const { entries } = await transport.list("q", "waiting", { limit: 10, preview: 0 }, call);
  expect(entries).toMatchObject([{ id: "1" }]);
  expect(await transport.remove("q", "waiting", "all", call)).toBe(1);
});

test("a removal of many jobs goes page by page, and lets others work in between", async () => {
  const transport = open({ path: newFile() });
  for (let n = 0; n < 2; n++) await transport.push(Array.from({ length: 10_000 }, () => job()), call);
  let ended = false;
  let meanwhile = 0;
  const removed = transport.remove("q", "waiting", "all", call).finally(() => ended = true);
  while (!ended) {
    await transport.push([job({ queue: "other" })], call);
    meanwhile++;
  }
  expect(await removed).toBe(20_000);
  expect(meanwhile).toBeGreaterThan(5);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0 });
});

test("a reserve marks its own jobs alone, those of other queues between them and the holes of jobs that ended included", async () => {
  const transport = open({ path: newFile() });
  const push = (queues: readonly string[], count: number): Promise<unknown> =>
    transport.push(
      Array.from({ length: count }, (_, n) => job({ queue: queues[n % queues.length] ?? "", id: `${n}` })),
      call,
    );
  const take = (queue: string, limit: number): Promise<readonly Delivery[]> =>
    transport.reserve([queue], { ...now, limit, slots: limit });
  await push(["a", "b"], 60);
  expect(await take("a", 30)).toHaveLength(30);
  expect((await take("b", 10)).map(({ id }) => id)).toEqual(
    Array.from({ length: 10 }, (_, n) => `${2 * n + 1}`),
  );
  expect(await transport.info("b", call)).toMatchObject({ waiting: 20, reserved: 10 });
  await push(["c"], 20);
  const [, second] = await take("c", 2);
  if (second === undefined) throw new Error("No second job came");
  await transport.settle([{ ...second, to: "done" }], call);
  expect(await take("c", 20)).toHaveLength(18);
  expect(await transport.info("c", call)).toMatchObject({ waiting: 0, reserved: 19 });
  expect(await take("b", 30)).toHaveLength(20);
});
