/**
 * Never early, in order of due time, and waiting costs nothing.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import { between, equal, ok, only } from "./assert.ts";
import { bytes, counted, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

const YEAR = 365 * 86_400_000;

/** Takes a job that is delayed, and measures when it came. */
async function delayed(lab: Lab, delay: number): Promise<void> {
  const before = lab.now();
  await lab.push({ id: "1", delay });
  const after = lab.now();
  const atOnce = await lab.take(10);
  const counts = await lab.counts();
  // On a busy machine the delay may be over by now.
  const soon = lab.now() < before + delay - lab.slack;
  if (soon) equal(atOnce, [], "reserve at once");
  if (soon) equal(counts, counted({ delayed: 1 }), "info");
  const come = (): Promise<readonly Delivery[]> =>
    lab.within(lab.take(1, { wait: delay + lab.ms(3_000) }), delay + lab.ms(4_000), "the delayed job");
  const delivery = only(atOnce.length > 0 ? atOnce : await come(), "deliveries");
  between(lab.now(), before + delay - lab.slack, after + delay + lab.ms(1_000) + lab.slack, "when it came");
  between(delivery.due, before + delay - lab.slack, after + delay + lab.slack, "due");
  equal(delivery.lost, 0, "lost");
}

async function longerThanLease(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const first = await lab.one({ lease: lab.brief });
  await lab.settle(first, { to: "again", meta: "m", delay: lab.brief * 3 });
  await lab.expire();
  equal(await lab.take(10), [], "reserve after the lease");
  await lab.holds(counted({ delayed: 1 }), "info");
  await lab.elapse(lab.brief * 2);
  const second = only(await lab.come(), "deliveries");
  equal(second.lost, 0, "lost");
  equal(await lab.take(10), [], "a second copy");
  equal(await lab.settle(second, { to: "done" }), "settled", "settle");
  await lab.holds(counted(), "info at the end");
}

async function dueOrder(lab: Lab): Promise<void> {
  const base = lab.now() + lab.ms(400);
  await lab.push({ id: "c", at: base + 30 }, { id: "a", at: base + 10 }, { id: "d", at: base + 40 });
  await lab.push({ id: "b", at: base + 20 });
  await lab.elapse(lab.ms(500) + lab.slack);
  equal((await lab.come(4)).map(({ id }) => id), ["a", "b", "c", "d"], "order");
}

async function equalDue(lab: Lab): Promise<void> {
  const at = lab.now() + lab.ms(300);
  const wanted = Array.from({ length: 30 }, (_, n) => `${(n * 7) % 30}`);
  for (const id of wanted.slice(0, 10)) await lab.push({ id, at });
  await lab.push(...wanted.slice(10).map((id) => ({ id, at })));
  await lab.elapse(lab.ms(400) + lab.slack);
  equal((await lab.come(30)).map(({ id }) => id), wanted, "order");
}

/** The cases of the group. */
export const DELAY: readonly Claim[] = [
  claim("a delay of 0 is no delay", async (lab) => {
    await lab.push({ id: "1", delay: 0 });
    await lab.holds(counted({ waiting: 1 }), "info");
    equal((await lab.one()).id, "1", "id");
  }),
  claim("a delay of 50 ms is not a moment early, and not a second late", (lab) => delayed(lab, 50)),
  claim("a delay of a second and a bit keeps its milliseconds", (lab) => delayed(lab, 1_337)),
  claim("a job settled again with a delay is not early", async (lab) => {
    await lab.push({ id: "1" });
    const before = lab.now();
    await lab.settle(await lab.one(), { to: "again", meta: "m", delay: lab.ms(300) });
    equal(await lab.take(10), [], "reserve at once");
    await lab.holds(counted({ delayed: 1 }), "info");
    const { due } = only(await lab.come(), "deliveries");
    between(lab.now() - before, lab.ms(300) - lab.slack, lab.ms(1_500), "milliseconds");
    between(due, before + lab.ms(300) - lab.slack, lab.now() + lab.slack, "due");
  }),
  claim("a job settled again at an instant is not early", async (lab) => {
    await lab.push({ id: "1" });
    const at = Math.floor(lab.now() + lab.ms(300));
    await lab.settle(await lab.one(), { to: "again", meta: "m", at, delay: lab.long });
    equal(await lab.take(10), [], "reserve at once");
    equal(only(await lab.come(), "deliveries").due, at, "due");
    ok(lab.now() >= at - lab.slack, "not before the instant");
  }),
  claim("a delay longer than the lease runs once", longerThanLease),
  claim("a job delayed by a year waits, and shows its due time", async (lab) => {
    const before = lab.now();
    await lab.push({ id: "1", delay: YEAR });
    await lab.elapse(lab.ms(100));
    equal(await lab.take(10), [], "reserve");
    const entry = await lab.entry("1");
    equal(entry?.channel, "delayed", "channel");
    between(entry?.time ?? 0, before + YEAR - lab.slack, lab.now() + YEAR + lab.slack, "due");
    const answer = lab.take(1, { wait: lab.ms(100) });
    equal(await lab.within(answer, lab.ms(2_000), "the empty answer"), [], "a reserve that waits");
  }),
  claim("an instant in the past is due now", async (lab) => {
    const at = Math.floor(lab.now()) - 60_000;
    await lab.push({ id: "1", at }, { id: "2", at: 0 });
    await lab.holds(counted({ waiting: 2 }), "info");
    equal([...(await lab.take(10)).map(({ id }) => id)].sort(), ["1", "2"], "ids");
  }),
  claim("an instant wins over a delay", async (lab) => {
    const at = Math.floor(lab.now()) + YEAR;
    await lab.push({ id: "1", at, delay: 0 }, { id: "2", at: Math.floor(lab.now()) - 1_000, delay: YEAR });
    equal((await lab.take(10)).map(({ id }) => id), ["2"], "reserve");
    equal((await lab.entry("1"))?.time, at, "due");
  }),
  claim("delayed jobs come in the order of their due times", dueOrder),
  claim("jobs due at the same instant come in the order of dispatch", equalDue),
  claim("a delayed job whose time came counts as waiting", async (lab) => {
    await lab.push({ id: "1", delay: lab.ms(200) }, { id: "2", delay: lab.long });
    await lab.holds(counted({ delayed: 2 }), "info before");
    await lab.elapse(lab.ms(250) + lab.slack);
    await lab.holds(counted({ waiting: 1, delayed: 1 }), "info afterwards");
    equal((await lab.entries("waiting")).map(({ id }) => id), ["1"], "listed as waiting");
    equal((await lab.entries("delayed")).map(({ id }) => id), ["2"], "listed as delayed");
    equal((await lab.entry("1"))?.channel, "waiting", "channel");
  }),
  claim("the same payload delayed twice is two jobs", async (lab) => {
    const same = { name: "same", payload: bytes("same"), meta: "same", at: Math.floor(lab.now()) + 200 };
    await lab.push({ ...same, id: "1" }, { ...same, id: "2" });
    await lab.elapse(lab.ms(300) + lab.slack);
    const deliveries = await lab.come(10);
    equal(deliveries.map(({ id }) => id), ["1", "2"], "ids");
    for (const delivery of deliveries) {
      await lab.settle(delivery, { to: "again", meta: "same", delay: lab.ms(100) });
    }
    await lab.holds(counted({ delayed: 2 }), "info after again");
    await lab.elapse(lab.ms(200) + lab.slack);
    equal((await lab.come(10)).length, 2, "deliveries after again");
  }),
  claim("a thousand delayed jobs become due once each", async (lab) => {
    const jobs = Array.from({ length: 1_000 }, (_, n) => ({ id: `${n}`, delay: lab.ms(300) }));
    await lab.push(...jobs);
    await lab.elapse(lab.ms(400) + lab.slack);
    const seen: string[] = [];
    await Promise.all(Array.from({ length: 5 }, async () => {
      for (let empty = 0; empty < 3 && seen.length < 1_000;) {
        const deliveries = await lab.take(100);
        empty = deliveries.length === 0 ? empty + 1 : 0;
        seen.push(...deliveries.map(({ id }) => id));
      }
    }));
    equal(seen.sort(), jobs.map(({ id }) => id).sort(), "ids");
  }),
  claim("a delayed job survives a restart, and its due time does", async (lab) => {
    await lab.push({ id: "1", delay: lab.ms(1_500) }, { id: "2", delay: lab.long });
    const before = await lab.entry("1");
    await lab.t[Symbol.asyncDispose]();
    await lab.subject.restart?.(lab.store);
    const t = await lab.open();
    const [after] = await t.get("work", ["1"], lab.call);
    equal(after?.time, before?.time, "due");
    const answer = t.reserve(["work"], {
      limit: 9,
      slots: 9,
      lease: lab.long,
      wait: lab.ms(5_000),
      ...lab.call,
    });
    equal(
      (await lab.within(answer, lab.ms(6_000), "the delayed job")).map(({ id }) => id),
      ["1"],
      "deliveries",
    );
    ok(lab.now() >= (before?.time ?? 0) - lab.slack, "not before it was due");
  }, "restart"),
];
