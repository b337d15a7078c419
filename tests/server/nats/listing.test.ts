/** Listings of many jobs: each page costs as much as the one before it, however long the list is. */
import { expect, test } from "vitest";
import type { Channel } from "../../../mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { describeOn } from "../support/servers/owned.ts";
import { startNats } from "../support/servers/nats.ts";
import { type Counted, counted, type Traffic } from "./counted.ts";

const QUEUE = "work";
const PAGE = 20;
const DEADLINE = 30_000;
const payload = new Uint8Array(50);

function idsOf(from: number, count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `${from + n}`);
}

async function push(transport: Transport, ids: readonly string[], delay: (n: number) => number) {
  const jobs = ids.map((id, n) => ({ queue: QUEUE, id, name: "work", payload, meta: "", delay: delay(n) }));
  expect(await transport.push(jobs, { deadline: DEADLINE })).toEqual(jobs.map(() => "stored"));
}

/** Has so many jobs die, in their order. */
async function die(transport: Transport, ids: readonly string[]): Promise<void> {
  await push(transport, ids, () => 0);
  for (let left = ids.length; left > 0;) {
    const options = { limit: left, slots: left, wait: 0, lease: 30_000, deadline: DEADLINE };
    const deliveries = await transport.reserve([QUEUE], options);
    const ends = deliveries.map(({ queue, token }) => ({
      queue,
      token,
      to: "failed" as const,
      meta: "",
      reason: "no",
    }));
    expect(await transport.settle(ends, { deadline: DEADLINE })).toEqual(ends.map(() => "settled"));
    left -= deliveries.length;
  }
}

/** Reads a whole channel page by page; what it has cost. */
async function read({ transport, traffic }: Counted, channel: Channel): Promise<Traffic & { ids: string[] }> {
  const before = { ...traffic };
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await transport.list(QUEUE, channel, { limit: PAGE, cursor, preview: 0 }, {
      deadline: DEADLINE,
    });
    ids.push(...page.entries.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { ids, sent: traffic.sent - before.sent, bytes: traffic.bytes - before.bytes };
}

describeOn(["nats"], "Long lists in NATS", () => {
  test("a hundred pages of dead jobs cost ten times as much as ten, whatever lies between them", async () => {
    await using server = await startNats();
    await using counter = await counted([server.url], { prefix: "long" });
    const { transport } = counter;
    const hour = (): number => 3_600_000;
    const early = idsOf(1, 150);
    await die(transport, early);
    await push(transport, idsOf(10_001, 3_000), hour);
    const late = idsOf(151, 50);
    await die(transport, late);
    const short = await read(counter, "failed");
    expect(short.ids).toEqual([...early, ...late].reverse());

    await die(transport, idsOf(201, 1_800));
    await push(transport, idsOf(20_001, 3_000), hour);
    const long = await read(counter, "failed");
    expect(long.ids).toEqual(idsOf(1, 2_000).toReversed());
    expect(long.sent).toBeLessThan(short.sent * 12);
    expect(long.bytes).toBeLessThan(short.bytes * 12);
  });

  test("a hundred pages of delayed jobs cost little more than ten times as much as ten", async () => {
    await using server = await startNats();
    await using counter = await counted([server.url], { prefix: "later" });
    const later = (n: number): number => 600_000 + n * 2_000;
    await push(counter.transport, idsOf(1, 200), later);
    const short = await read(counter, "delayed");
    expect(short.ids).toEqual(idsOf(1, 200));

    await push(counter.transport, idsOf(201, 1_800), (n) => later(200 + n));
    const long = await read(counter, "delayed");
    expect(long.ids).toEqual(idsOf(1, 2_000));
    expect(long.bytes).toBeLessThan(short.bytes * 15);
  });
});
