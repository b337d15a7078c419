/**
 * A delivery is its holder's alone until the lease ends, and comes back when it did.
 *
 * @module
 */

import type { Delivery, Extended } from "../../jobs/exchange.ts";
import { between, equal, ok, only } from "./assert.ts";
import { counted, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

async function extend(lab: Lab, { queue, token }: Delivery, ms: number): Promise<unknown> {
  return stateOf(only(await lab.t.extend([{ queue, token, ms }], lab.call), "results of extend"));
}

/** An answer, without the lease that was granted. */
function stateOf(answer: Extended): unknown {
  return answer instanceof Error ? answer : answer.state;
}

/** Reserves a job with a lease that runs out, and hands over the delivery that lost it and the one that has it now. */
export async function loseOne(lab: Lab): Promise<{ late: Delivery; current: Delivery }> {
  await lab.push({ id: "1", idWindow: lab.long });
  const late = await lab.one({ lease: lab.brief });
  await lab.expire();
  return { late, current: only(await lab.come(), "deliveries after the lease") };
}

/** A job that a waiting reserve would reclaim stays its holder's until the waiting call is ready. */
async function waitsUntilReady(lab: Lab): Promise<void> {
  await lab.push({ id: "1" });
  const held = await lab.one({ lease: lab.brief });
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  let isReady = false;
  const answer = lab.come(1, {
    ready: () => {
      asked++;
      return isReady ? undefined : promise;
    },
  });
  await lab.expire();
  await lab.elapse(lab.ms(100));
  equal(await extend(lab, held, lab.brief), "held", "extend of what was not reclaimed");
  isReady = true;
  resolve();
  const { id, lost } = only(await answer, "deliveries after the lease");
  equal({ id, lost }, { id: "1", lost: 1 }, "what came back");
  ok(asked > 1, "the reserve asked, and asked again when it was told to go on");
}

async function busyPage(lab: Lab): Promise<void> {
  const total = 1_500;
  await lab.push(...Array.from({ length: total }, (_, n) => ({ id: `${n}` })));
  const held: Delivery[] = [];
  while (held.length < total) {
    const more = await lab.come(500, { lease: lab.ms(2_000) });
    ok(more.length > 0, `${total} deliveries (found only ${held.length})`);
    held.push(...more);
  }
  const busy = held.filter(({ id }) => id !== `${total - 1}`);
  const extended = await lab.t.extend(
    busy.map(({ queue, token }) => ({ queue, token, ms: lab.long })),
    lab.call,
  );
  equal(
    extended.filter((one) => stateOf(one) === "held").length,
    busy.length,
    "extended",
  );
  await lab.elapse(lab.ms(2_100));
  let back: readonly Delivery[] = [];
  for (let tries = 0; tries < 20 && back.length === 0; tries++) {
    back = await lab.come(10, { wait: lab.ms(100) });
  }
  equal(back.map(({ id, lost }) => [id, lost]), [[`${total - 1}`, 1]], "the one lost job");
}

async function manyLost(lab: Lab): Promise<void> {
  const total = 1_200;
  await lab.push(...Array.from({ length: total }, (_, n) => ({ id: `${n}` })));
  let held = 0;
  while (held < total) {
    const { length } = await lab.come(600, { lease: lab.ms(1_500) });
    ok(length > 0, `${total} deliveries (found only ${held})`);
    held += length;
  }
  await lab.elapse(lab.ms(1_700));
  const seen = new Set<string>();
  for (let tries = 0; tries < 100 && seen.size < total; tries++) {
    for (const { id } of await lab.come(600, { wait: lab.ms(100) })) seen.add(id);
  }
  equal(seen.size, total, "jobs that came back");
}

/** The cases of the group. */
export const LEASE: readonly Claim[] = [
  claim("a job does not come back before its lease ends", async (lab) => {
    await lab.push({ id: "1" });
    const { lease } = await lab.one({ lease: lab.brief });
    await lab.elapse(Math.max(0, lease - lab.ms(200)));
    equal(await lab.take(10), [], "reserve before the end");
  }),
  claim("a job comes back after its lease ended, and says that one was lost", async (lab) => {
    await lab.push({ id: "1", name: "kept", meta: "as it was" });
    const first = await lab.one({ lease: lab.brief });
    equal(first.lost, 0, "lost at first");
    await lab.expire();
    const second = only(await lab.come(), "deliveries");
    const { token: _, lease: __, ...rest } = first;
    const { token, lease: ___, ...back } = second;
    equal(back, { ...rest, lost: 1 }, "the second delivery");
    ok(token !== first.token, "another token");
  }),
  claim("each lost lease is counted", async (lab) => {
    await lab.push({ id: "1" });
    for (let lost = 0; lost < 4; lost++) {
      equal(only(await lab.come(1, { lease: lab.brief }), "deliveries").lost, lost, "lost");
      await lab.expire();
    }
    equal((await lab.entry("1"))?.channel === undefined, false, "the job is still there");
  }),
  claim("a reserved job shows when its lease ends", async (lab) => {
    await lab.push({ id: "1" });
    const before = lab.now();
    const { lease } = await lab.one();
    const entry = await lab.entry("1");
    equal(entry?.channel, "reserved", "channel");
    between(entry?.time ?? 0, before + lease - lab.slack, lab.now() + lease + lab.slack, "end of the lease");
  }),
  claim("extend moves the end of a lease", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one({ lease: lab.brief });
    equal(await extend(lab, delivery, lab.long), "held", "extend");
    await lab.expire();
    equal(await lab.take(10), [], "reserve after the first end");
    equal(await lab.settle(delivery, { to: "done" }), "settled", "settle");
  }),
  claim("an extended lease ends too", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one({ lease: lab.brief });
    await lab.elapse(lab.ms(200));
    equal(await extend(lab, delivery, lab.brief), "held", "extend");
    await lab.elapse(lab.ms(270));
    equal(await lab.take(10), [], "reserve after the first end");
    await lab.expire();
    equal(only(await lab.come(), "deliveries").lost, 1, "lost");
  }),
  claim("an extended lease shows its new end", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one();
    const before = lab.now();
    const { queue, token } = delivery;
    const extended = only(await lab.t.extend([{ queue, token, ms: 2 * lab.long }], lab.call), "results");
    const granted = "lease" in extended ? extended.lease ?? 2 * lab.long : 2 * lab.long;
    const end = (await lab.entry("1"))?.time ?? 0;
    between(end, before + granted - lab.slack, lab.now() + granted + lab.slack, "end of the lease");
  }, "exactFence"),
  claim("a lease kept up by extends outlasts itself many times", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one({ lease: lab.brief });
    for (let n = 0; n < 6; n++) {
      await lab.elapse(lab.ms(150));
      equal(await extend(lab, delivery, lab.brief), "held", "extend");
      equal(await lab.take(10), [], "reserve meanwhile");
    }
    equal(await lab.settle(delivery, { to: "done" }), "settled", "settle");
  }),
  claim("an extend by a delivery that lost its lease says stale and changes nothing", async (lab) => {
    await lab.push({ id: "1" });
    const late = await lab.one({ lease: lab.brief });
    await lab.expire();
    const current = only(await lab.come(1, { lease: lab.ms(1_000) }), "deliveries");
    equal(await extend(lab, late, lab.long), "stale", "late extend");
    await lab.elapse(lab.ms(1_100));
    equal(only(await lab.come(), "deliveries").lost, 2, "lost");
    equal(await extend(lab, current, lab.long), "stale", "late extend of the second");
  }),
  claim("an extend after settle says stale", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" }, { id: "3" });
    const [done, dead, released] = await lab.take(3);
    ok(done !== undefined && dead !== undefined && released !== undefined, "three deliveries");
    await lab.settle(done, { to: "done" });
    await lab.settle(dead, { to: "failed", meta: "m", reason: "r" });
    await lab.settle(released, { to: "release" });
    for (const delivery of [done, dead, released]) {
      equal(await extend(lab, delivery, lab.long), "stale", "extend");
    }
  }),
  claim("an extend of an unknown token says stale and leaves its neighbours held", async (lab) => {
    await lab.push({ id: "1" }, { queue: "other", id: "2" });
    const first = await lab.one();
    const second = await lab.one({ queues: ["other"] });
    const ms = lab.long;
    const results = await lab.t.extend([
      { queue: first.queue, token: first.token, ms },
      { queue: first.queue, token: "never given", ms },
      { queue: "never", token: "", ms },
      { queue: first.queue, token: second.token, ms },
      { queue: second.queue, token: second.token, ms },
    ], lab.call);
    equal(results.map(stateOf), ["held", "stale", "stale", "stale", "held"], "results");
  }),
  claim("an extend after the lease ended holds while nobody reclaimed it", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one({ lease: lab.brief });
    await lab.expire();
    equal(await extend(lab, delivery, lab.long), "held", "extend");
    equal(await lab.take(10), [], "reserve");
  }, "exactFence"),
  claim("a lease longer than a timer can hold does not end at once", async (lab) => {
    await lab.push({ id: "1" });
    await lab.one({ lease: 2 ** 31 + 1_000 });
    const answer = await lab.within(lab.take(1, { wait: lab.ms(200) }), lab.ms(2_000), "the empty answer");
    equal(answer, [], "reserve");
  }, "exactFence"),
  claim("a short lease of one does not shorten another's", async (lab) => {
    await lab.push({ id: "long" }, { id: "brief" });
    await lab.one();
    await lab.one({ lease: lab.brief });
    await lab.expire();
    const back = await lab.come(10, { lease: lab.brief });
    equal(back.map(({ id }) => id), ["brief"], "what came back");
  }),
  claim(
    "a reserve that waits reclaims nothing before the one who made it is ready",
    waitsUntilReady,
    "exactFence",
  ),
  claim("a page of busy leases does not hide a lost one behind it", busyPage),
  claim("however many leases are lost, all come back", manyLost),
  claim("lost leases of one queue leave another's alone", async (lab) => {
    await lab.push({ queue: "a", id: "1" }, { queue: "b", id: "2" });
    await lab.take(2, { queues: ["a", "b"], lease: lab.brief });
    await lab.expire();
    equal((await lab.come(10, { queues: ["a"] })).map(({ id }) => id), ["1"], "from the first");
    equal((await lab.come(10, { queues: ["b"] })).map(({ id }) => id), ["2"], "from the second");
  }),
  claim("a job that came back is in one place", async (lab) => {
    const { current } = await loseOne(lab);
    await lab.holds(counted({ reserved: 1 }), "info");
    equal(await lab.settle(current, { to: "done" }), "settled", "settle");
    await lab.holds(counted(), "info at the end");
  }),
];
