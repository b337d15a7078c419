/**
 * Only the current delivery ends a job, once, and each ending has its effect.
 *
 * @module
 */

import type { Delivery, Held } from "../../jobs/exchange.ts";
import type { Channel } from "../../jobs/job.ts";
import { at, between, equal, ok, only } from "./assert.ts";
import { bytes, counted, type Ending, type Lab } from "./lab.ts";
import { loseOne } from "./lease.ts";
import { type Claim, claim } from "./claim.ts";

const ENDINGS: Readonly<Record<string, Ending>> = {
  done: { to: "done" },
  release: { to: "release" },
  again: { to: "again", meta: "changed" },
  "again with a payload": { to: "again", meta: "changed", payload: bytes("changed"), delay: 600_000 },
  failed: { to: "failed", meta: "changed", reason: "late" },
  timeout: { to: "timeout", meta: "changed", reason: "late" },
};

/** A late ending of every form, while another holds the job. */
function lateWhileRunning(ending: Ending): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const { late, current } = await loseOne(lab);
    equal(await lab.settle(late, ending), "stale", "late settle");
    await lab.holds(counted({ reserved: 1 }), "info");
    const entry = await lab.entry("1");
    equal([entry?.channel, entry?.meta, entry?.payload], ["reserved", late.meta, late.payload], "the job");
    equal(await lab.settle(current, { to: "done" }), "settled", "settle by the holder");
    equal(await lab.settle(late, ending), "stale", "late settle of a job that is done");
    await lab.holds(counted(), "info at the end");
  };
}

/** A late ending of every form, after another buried the job. */
function lateAfterDeath(ending: Ending): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const { late, current } = await loseOne(lab);
    equal(
      await lab.settle(current, { to: "failed", meta: "dead", reason: "r" }),
      "settled",
      "settle by the holder",
    );
    equal(await lab.settle(late, ending), "stale", "late settle");
    await lab.holds(counted({ failed: 1 }), "info");
    equal((await lab.entry("1"))?.meta, "dead", "metadata of the dead job");
  };
}

/** A late ending of every form, while the job waits for its next run. */
function lateWhileDelayed(ending: Ending): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const { late, current } = await loseOne(lab);
    await lab.settle(current, { to: "again", meta: "next", delay: lab.long });
    equal(await lab.settle(late, ending), "stale", "late settle");
    await lab.holds(counted({ delayed: 1 }), "info");
    const { time: due = 0, meta } = await lab.entry("1") ?? {};
    ok(meta === "next" && due > lab.now() + lab.long / 2, "the job as it was left");
  };
}

async function mixed(lab: Lab): Promise<void> {
  await lab.push({ id: "1" }, { id: "2" }, { id: "3" }, { id: "4" }, { queue: "b", id: "5" }, { id: "6" });
  const deliveries = [...await lab.take(4), ...await lab.take(1, { queues: ["b"] })];
  const held = (n: number): Held => {
    const { queue, token } = at(deliveries, n, "deliveries");
    return { queue, token };
  };
  const results = await lab.t.settle([
    { ...held(0), to: "done" },
    { queue: "work", token: "never given", to: "done" },
    { ...held(1), to: "again", meta: "m", delay: lab.long },
    { ...held(0), to: "done" },
    { ...held(2), to: "failed", meta: "m", reason: "r" },
    { ...held(3), to: "release" },
    { ...held(4), to: "timeout", meta: "m", reason: "r" },
  ], lab.call);
  equal(results, ["settled", "stale", "settled", "stale", "settled", "settled", "settled"], "results");
  await lab.holds(counted({ waiting: 2, delayed: 1, failed: 1 }), "info of the first queue");
  await lab.holds(counted({ timeout: 1 }), "info of the second", "b");
}

async function tokensDiffer(lab: Lab): Promise<void> {
  await lab.push({ id: "1" }, { id: "2" }, { queue: "b", id: "1" });
  const seen = new Set<string>();
  const endings: readonly Ending[] = [{ to: "release" }, { to: "again", meta: "m" }, { to: "release" }];
  for (let round = 0; round < 6; round++) {
    const deliveries = await lab.come(3, { queues: ["work", "b"] });
    equal(deliveries.length, 3, "deliveries");
    for (const delivery of deliveries) {
      ok(!seen.has(delivery.token), `a token that no delivery had (found '${delivery.token}' again)`);
      seen.add(delivery.token);
      equal(await lab.settle(delivery, at(endings, round % 3, "endings")), "settled", "settle");
    }
  }
}

/** The cases of the group. */
export const SETTLE: readonly Claim[] = [
  claim("a job that is done is gone for good", async (lab) => {
    await lab.push({ id: "1" });
    equal(await lab.settle(await lab.one({ lease: lab.brief }), { to: "done" }), "settled", "settle");
    await lab.holds(counted(), "info");
    equal(await lab.entry("1"), undefined, "entry");
    await lab.expire();
    equal(await lab.take(10), [], "reserve after the lease would have ended");
  }),
  claim("the second settle of a delivery is stale", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" });
    const wanted: Record<Channel, number> = counted({ waiting: 2 });
    for (const first of Object.values(ENDINGS)) {
      const delivery = at(await lab.take(1), 0, "deliveries");
      equal(await lab.settle(delivery, first), "settled", "first settle");
      wanted.waiting--;
      if (first.to === "again") wanted[first.delay === undefined ? "waiting" : "delayed"]++;
      else if (first.to === "release") wanted.waiting++;
      else if (first.to !== "done") wanted[first.to]++;
      for (const second of Object.values(ENDINGS)) {
        equal(await lab.settle(delivery, second), "stale", "second settle");
      }
      await lab.holds(wanted, "info");
      await lab.push({});
      wanted.waiting++;
    }
  }),
  claim("one delivery settled twice in a batch is settled once", async (lab) => {
    await lab.push({ id: "1" });
    const { queue, token } = await lab.one();
    const results = await lab.t.settle([
      { queue, token, to: "failed", meta: "m", reason: "r" },
      { queue, token, to: "again", meta: "m" },
    ], lab.call);
    equal(results, ["settled", "stale"], "results");
    await lab.holds(counted({ failed: 1 }), "info");
  }),
  claim("a settle of an unknown token is stale", async (lab) => {
    await lab.push({ id: "1" }, { queue: "b", id: "2" });
    const held = await lab.one({ queues: ["b"] });
    const tokens = ["", "0", "1", "nobody's", "x".repeat(500), "__proto__", "1-0", "*", held.id, held.token];
    for (const token of tokens) {
      const [result] = await lab.t.settle([{ queue: "work", token, to: "done" }], lab.call);
      equal(result, "stale", `settle of '${token}'`);
    }
    equal(
      await lab.t.settle([{ queue: "never", token: held.token, to: "done" }], lab.call),
      ["stale"],
      "elsewhere",
    );
    await lab.holds(counted({ waiting: 1 }), "info");
    await lab.holds(counted({ reserved: 1 }), "info of the other queue", "b");
  }),
  claim("results of a mixed batch of settlements come in the order of its items", mixed),
  ...Object.entries(ENDINGS).flatMap(([form, ending]) => [
    claim(`a late '${form}' changes nothing while another holds the job`, lateWhileRunning(ending)),
    claim(`a late '${form}' changes nothing after another buried the job`, lateAfterDeath(ending)),
    claim(`a late '${form}' changes nothing while the job waits for its next run`, lateWhileDelayed(ending)),
  ]),
  claim("a settle after the lease ended counts while nobody reclaimed the job", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" });
    const deliveries = await lab.take(2, { lease: lab.brief });
    await lab.expire();
    equal(await lab.settle(at(deliveries, 0, "deliveries"), { to: "done" }), "settled", "done");
    const dead: Ending = { to: "failed", meta: "m", reason: "r" };
    equal(await lab.settle(at(deliveries, 1, "deliveries"), dead), "settled", "failed");
    equal(await lab.take(10), [], "reserve");
    await lab.holds(counted({ failed: 1 }), "info");
  }, "exactFence"),
  claim("a settle after the job was removed is stale", async (lab) => {
    for (const ending of Object.values(ENDINGS)) {
      await lab.push({ id: "1" });
      const delivery = await lab.one();
      equal(await lab.t.remove("work", "reserved", "all", lab.call), 1, "removed");
      equal(await lab.settle(delivery, ending), "stale", "settle");
      await lab.holds(counted(), "info");
    }
  }),
  claim("a token is never given out again", tokensDiffer),
  claim("a release makes the job available at once, as it was", async (lab) => {
    await lab.push({ id: "1", name: "kept", meta: "kept" });
    const { token, lease: _, ...first } = await lab.one();
    equal(await lab.settle({ ...first, token, lease: 0 }, { to: "release" }), "settled", "release");
    await lab.holds(counted({ waiting: 1 }), "info");
    const { token: next, lease: __, ...second } = await lab.one();
    equal(second, first, "second delivery");
    ok(next !== token, "a token of its own");
  }),
  claim("a release is no lost lease, however often", async (lab) => {
    await lab.push({ id: "1" });
    for (let n = 0; n < 5; n++) {
      const delivery = await lab.one();
      equal(delivery.lost, 0, "lost");
      await lab.settle(delivery, { to: "release" });
    }
  }),
  claim(
    "a settle by another client than the one that reserved counts",
    async (lab) => {
      const second = await lab.open();
      await lab.push({ id: "1" });
      const delivery = await lab.one();
      equal(await lab.settle(delivery, { to: "done" }, second), "settled", "settle");
      await lab.holds(counted(), "info");
    },
    "shared",
    "exactFence",
  ),
  claim("again stores the new metadata and keeps id, name and payload", async (lab) => {
    const meta = `{"v":1,"n":2,"text":"\u0000 é 👩‍👧 \\u0041"}`;
    await lab.push({ id: "1", name: "kept", payload: Uint8Array.of(0, 255, 10, 13) });
    equal(await lab.settle(await lab.one(), { to: "again", meta }), "settled", "again");
    const { id, name, payload, meta: found, lost, reset } = await lab.one();
    equal({ id, name, payload, found, lost, reset }, {
      id: "1",
      name: "kept",
      payload: Uint8Array.of(0, 255, 10, 13),
      found: meta,
      lost: 0,
      reset: false,
    }, "next delivery");
  }),
  claim("again with a payload replaces it", async (lab) => {
    await lab.push({ id: "1" });
    for (
      const payload of [
        bytes("longer than it was before"),
        new Uint8Array(),
        bytes(""),
        Uint8Array.of(0, 255),
      ]
    ) {
      await lab.settle(await lab.one(), { to: "again", meta: "m", payload });
      const delivery = await lab.one();
      equal(delivery.payload, payload, "payload");
      ok(delivery.bare !== true, "an entry with a payload");
      await lab.settle(delivery, { to: "release" });
    }
  }),
  claim("again counts lost leases from 0", async (lab) => {
    const { current } = await loseOne(lab);
    equal(current.lost, 1, "lost before");
    await lab.settle(current, { to: "again", meta: "m" });
    equal(at(await lab.take(1, { slots: 0 }), 0, "deliveries without a slot").lost, 0, "lost afterwards");
  }),
  claim("again without a time is due now", async (lab) => {
    await lab.push({ id: "1", delay: lab.ms(100) });
    const delivery = only(await lab.come(), "deliveries");
    await lab.elapse(lab.ms(100));
    const before = lab.now();
    await lab.settle(delivery, { to: "again", meta: "m" });
    await lab.holds(counted({ waiting: 1 }), "info");
    between((await lab.one()).due, before - lab.slack, lab.now() + lab.slack, "due");
  }),
  claim("a settlement leaves the jobs beside it alone", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" }, { id: "3" });
    const deliveries: readonly Delivery[] = await lab.take(2);
    await lab.settle(at(deliveries, 0, "deliveries"), { to: "done" });
    await lab.holds(counted({ waiting: 1, reserved: 1 }), "info");
    equal((await lab.one()).id, "3", "the next");
  }),
];
