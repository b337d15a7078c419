/**
 * Listings: in order, cut where asked, and stable while jobs come and go.
 *
 * @module
 */

import type { Page } from "../../jobs/exchange.ts";
import { type Channel, CHANNELS } from "../../jobs/job.ts";
import { at, equal, ok } from "./assert.ts";
import { bury } from "./dead.ts";
import type { Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

async function page(lab: Lab, channel: Channel, limit: number, cursor?: string): Promise<Page> {
  return await lab.t.list("work", channel, { limit, preview: 16, cursor }, lab.call);
}

function idsOf({ entries }: Page): readonly string[] {
  return entries.map(({ id }) => id);
}

/** Reads a listing to its end, doing something after each page. */
async function read(
  lab: Lab,
  channel: Channel,
  limit: number,
  meanwhile?: (n: number) => Promise<void>,
): Promise<string[]> {
  const seen: string[] = [];
  let cursor: string | undefined;
  for (let n = 0; n < 100; n++) {
    const found: Page = await page(lab, channel, limit, cursor);
    ok(found.entries.length <= limit, `at most ${limit} entries`);
    seen.push(...idsOf(found));
    cursor = found.cursor;
    if (cursor === undefined) return seen;
    await meanwhile?.(n);
  }
  throw new Error("A listing that does not end");
}

async function buryMany(lab: Lab, total: number): Promise<void> {
  await lab.push(...Array.from({ length: total }, (_, n) => ({ id: `${n}` })));
  for (const { queue, token, id } of await lab.take(total)) {
    await lab.t.settle([{ queue, token, to: "failed", meta: `dead ${id}`, reason: "r" }], lab.call);
  }
}

function newestFirst(total: number): readonly string[] {
  return Array.from({ length: total }, (_, n) => `${total - 1 - n}`);
}

async function newcomers(lab: Lab): Promise<void> {
  await buryMany(lab, 20);
  const seen = await read(lab, "failed", 3, (n) => bury(lab, `new-${n}`));
  equal(seen, newestFirst(20), "what was there from the beginning, each once");
}

async function leavers(lab: Lab): Promise<void> {
  await buryMany(lab, 20);
  const gone = new Set<string>();
  const remove = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids) gone.add(id);
    await lab.t.remove("work", "failed", { ids }, lab.call);
  };
  // Pages of 4: after the first, its last entry and one ahead go; after the second, a whole page ahead.
  const seen = await read(lab, "failed", 4, async (n) => {
    if (n === 0) await remove("16", "19", "14");
    if (n === 1) await remove("11", "10", "9", "8", "7");
  });
  const wanted = newestFirst(20).filter((id) => !gone.has(id) || id === "16" || id === "19");
  equal(seen.filter((id) => !gone.has(id) || id === "16" || id === "19"), wanted, "what stayed, each once");
  equal(seen.length, new Set(seen).size, "no entry twice");
}

/** The cases of the group. */
export const LISTING: readonly Claim[] = [
  claim("dead jobs are listed newest first", async (lab) => {
    for (const id of ["1", "2", "3"]) await bury(lab, id);
    await lab.elapse(lab.ms(20));
    await bury(lab, "4");
    equal(idsOf(await page(lab, "failed", 10)), ["4", "3", "2", "1"], "ids");
  }),
  claim("dead jobs of one batch of settlements are listed in its order, the last first", async (lab) => {
    await lab.push(...["1", "2", "3"].map((id) => ({ id })));
    const batch = (await lab.take(3)).map(({ queue, token }) =>
      ({ queue, token, to: "failed", meta: "m", reason: "r" }) as const
    );
    await lab.t.settle(batch, lab.call);
    equal(idsOf(await page(lab, "failed", 10)), ["3", "2", "1"], "ids");
  }),
  claim("waiting jobs are listed the next to run first", async (lab) => {
    for (const id of ["1", "2", "3"]) await lab.push({ id });
    equal(idsOf(await page(lab, "waiting", 10)), ["1", "2", "3"], "ids");
    equal(await read(lab, "waiting", 1), ["1", "2", "3"], "ids, page by page");
  }),
  claim("delayed jobs are listed the next to run first", async (lab) => {
    const base = Math.floor(lab.now()) + lab.long;
    await lab.push({ id: "c", at: base + 30 }, { id: "a", at: base + 10 }, { id: "b", at: base + 20 });
    await lab.push({ id: "b2", at: base + 20 });
    equal(idsOf(await page(lab, "delayed", 10)), ["a", "b", "b2", "c"], "ids");
    equal(await read(lab, "delayed", 1), ["a", "b", "b2", "c"], "ids, page by page");
    const times = (await page(lab, "delayed", 10)).entries.map(({ time }) => time - base);
    equal(times, [10, 20, 20, 30], "due times");
  }),
  claim("reserved jobs are listed with the end of their lease", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" });
    const deliveries = await lab.take(2);
    const { entries } = await page(lab, "reserved", 10);
    equal(entries.map(({ id }) => id).sort(), ["1", "2"], "ids");
    const lease = at(deliveries, 0, "deliveries").lease;
    ok(entries.every(({ time }) => Math.abs(time - lab.now() - lease) < lab.ms(5_000)), "ends of the leases");
  }),
  claim("an empty channel is one empty page", async (lab) => {
    await lab.push({ queue: "other" });
    for (const channel of CHANNELS) {
      equal(await page(lab, channel, 10), { entries: [] }, `page of ${channel}`);
    }
  }),
  claim("the last page has no cursor", async (lab) => {
    await buryMany(lab, 4);
    equal((await page(lab, "failed", 5)).cursor, undefined, "cursor of a page that is not full");
    const first = await page(lab, "failed", 3);
    ok(first.cursor !== undefined, "a cursor when there is more");
    equal((await page(lab, "failed", 3, first.cursor)).cursor, undefined, "cursor of the last page");
    const whole = await page(lab, "failed", 4);
    if (whole.cursor !== undefined) {
      equal(idsOf(await page(lab, "failed", 4, whole.cursor)), [], "after a full page");
    }
  }),
  claim("pages of every size hold each job once", async (lab) => {
    await buryMany(lab, 23);
    for (const limit of [1, 2, 7, 22, 23, 24]) {
      equal(await read(lab, "failed", limit), newestFirst(23), `ids in pages of ${limit}`);
    }
  }),
  claim("jobs that die while one reads neither repeat nor hide others", newcomers),
  claim("jobs that go while one reads neither repeat nor hide others", leavers),
  claim("waiting jobs that are taken while one reads do not hide others", async (lab) => {
    await lab.push(...Array.from({ length: 12 }, (_, n) => ({ id: `${n}` })));
    const seen = await read(lab, "waiting", 3, async () => void await lab.take(1));
    equal(seen.length, new Set(seen).size, "no entry twice");
    const left = (await lab.entries("waiting")).map(({ id }) => id);
    ok(left.every((id) => seen.includes(id)), "every job that waited all the time");
  }),
  claim("a preview is cut where asked, and the size is the whole payload's", async (lab) => {
    const payload = Uint8Array.from({ length: 100 }, (_, n) => n);
    await lab.push({ id: "1", payload });
    const show = async (channel: Channel): Promise<void> => {
      for (const preview of [0, 1, 16, 100, 1_000]) {
        const { entries } = await lab.t.list("work", channel, { limit: 1, preview }, lab.call);
        const entry = at(entries, 0, "entries");
        equal(
          [entry.payload, entry.size],
          [payload.subarray(0, preview), 100],
          `payload and size for ${preview}`,
        );
      }
    };
    await show("waiting");
    await lab.settle(await lab.one(), { to: "timeout", meta: "m", reason: "r" });
    await show("timeout");
  }),
  claim("an entry of a listing is the job as it is", async (lab) => {
    await lab.push({ id: "1", name: "n", meta: "m", payload: Uint8Array.of(1) });
    const { time: _, ...entry } = at((await page(lab, "waiting", 1)).entries, 0, "entries");
    const wanted = {
      queue: "work",
      channel: "waiting",
      id: "1",
      name: "n",
      meta: "m",
      lost: 0,
      reset: false,
    };
    equal(entry, { ...wanted, payload: Uint8Array.of(1), size: 1 }, "entry");
  }),
];
