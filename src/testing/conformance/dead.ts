/**
 * A job that is given up is kept once, whole, with its reason, until an operator decides.
 *
 * @module
 */

import type { DeadChannel } from "../../jobs/job.ts";
import { DEAD_CHANNELS } from "../../jobs/job.ts";
import { between, equal, ok, only } from "./assert.ts";
import { bytes, counted, type Lab } from "./lab.ts";
import { loseOne } from "./lease.ts";
import { type Claim, claim } from "./claim.ts";

const META = `{"v":1,"dead":{"reason":"\u0000 é 👩‍👧"},"unknown":[1,{"kept":"yes"}],"a":"\\u0041"}  `;

/** Pushes a job and buries it. */
export async function bury(lab: Lab, id: string, part: Buried = {}): Promise<void> {
  const { channel = "failed", reason = "r", queue = "work", ...rest } = part;
  await lab.push({ ...rest, id, queue });
  const delivery = await lab.one({ queues: [queue] });
  equal(await lab.settle(delivery, { to: channel, meta: `dead ${id}`, reason }), "settled", "burying");
}

interface Buried {
  readonly queue?: string;
  readonly name?: string;
  readonly idWindow?: number;
  readonly channel?: DeadChannel;
  readonly reason?: string;
}

function deadOnce(channel: DeadChannel): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const payload = Uint8Array.from({ length: 256 }, (_, n) => n);
    await lab.push({ id: "1", name: "kept", payload });
    const delivery = await lab.one({ lease: lab.brief });
    const before = lab.now();
    equal(await lab.settle(delivery, { to: channel, meta: META, reason: "r" }), "settled", "settle");
    const after = lab.now();
    await lab.holds(counted({ [channel]: 1 }), "info");
    const { time, ...entry } = only(await lab.entries(channel), "dead jobs");
    const wanted = {
      queue: "work",
      channel,
      id: "1",
      name: "kept",
      payload,
      size: 256,
      meta: META,
      lost: 0,
      reset: false,
    };
    equal(entry, wanted, "entry");
    between(time, before - lab.slack, after + lab.slack, "when it died");
    equal((await lab.entry("1"))?.channel, channel, "found by id");
    await lab.expire();
    equal(await lab.take(10), [], "reserve, after the lease would have ended");
    await lab.holds(counted({ [channel]: 1 }), "info at the end");
  };
}

/** At each moment of its death, a listing finds the job in one channel. */
async function oneCopy(lab: Lab): Promise<void> {
  for (const channel of DEAD_CHANNELS) {
    await lab.push({ id: "1" });
    const { queue, token } = await lab.one();
    const settled = lab.t.settle([{ queue, token, to: channel, meta: "m", reason: "r" }], lab.call);
    const looks: Promise<unknown>[] = [];
    for (let n = 0; n < 10; n++) {
      looks.push(
        lab.counts().then((counts) => {
          const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
          equal(total, 1, "copies of a job that is being buried");
        }),
      );
      await Promise.resolve();
    }
    await Promise.all(looks);
    equal(await settled, ["settled"], "settle");
    equal(await lab.t.remove(queue, channel, "all", lab.call), 1, "removed");
  }
}

async function keepsLost(lab: Lab): Promise<void> {
  const { current } = await loseOne(lab);
  await lab.settle(current, { to: "timeout", meta: "m", reason: "lost" });
  equal((await lab.entry("1"))?.lost, 1, "lost of the dead job");
  equal(await lab.t.reload("work", "timeout", "all", { ...lab.call, reset: false }), {
    reloaded: 1,
    taken: 0,
  }, "reload");
  const back = only(await lab.take(1, { slots: 0 }), "deliveries without a slot");
  equal(back.lost, 0, "lost after the reload");
}

async function resetFlag(lab: Lab): Promise<void> {
  await bury(lab, "1");
  await lab.t.reload("work", "failed", "all", { ...lab.call, reset: true });
  equal((await lab.entry("1"))?.reset, true, "reset of the entry");
  const first = await lab.one({ lease: lab.brief });
  equal(first.reset, true, "reset at the first delivery");
  await lab.settle(first, { to: "release" });
  equal((await lab.one({ lease: lab.brief })).reset, true, "reset after a release");
  await lab.expire();
  const third = only(await lab.come(), "deliveries");
  equal(third.reset, true, "reset after a lost lease");
  await lab.settle(third, { to: "again", meta: "m" });
  equal((await lab.one()).reset, false, "reset after again");
}

async function survivesAll(lab: Lab): Promise<void> {
  const payload = Uint8Array.from({ length: 256 }, (_, n) => 255 - n);
  const metas = [META, "", " ", "not json {", "x".repeat(20_000), "\u2028\uFEFF", "0"];
  await lab.push({ id: "1", name: "n\u00e9", payload, meta: META });
  for (const meta of metas) {
    await lab.settle(await lab.one(), { to: "again", meta });
    equal((await lab.entry("1"))?.meta, meta, "metadata after again");
    const delivery = await lab.one();
    equal([delivery.meta, delivery.payload], [meta, payload], "delivery after again");
    await lab.settle(delivery, { to: "failed", meta, reason: "r" });
    equal((await lab.entry("1"))?.meta, meta, "metadata of the dead job");
    await lab.t.reload("work", "failed", "all", { ...lab.call, reset: false });
    const { meta: found, payload: bytes, name } = await lab.one({ lease: lab.brief });
    equal([found, bytes, name], [meta, payload, "n\u00e9"], "delivery after reload");
    await lab.expire();
    const back = only(await lab.come(), "deliveries");
    equal([back.meta, back.payload], [meta, payload], "delivery after a lost lease");
    await lab.settle(back, { to: "again", meta });
  }
}

/** The cases of the group. */
export const DEAD: readonly Claim[] = [
  claim("a failed job is dead exactly once, as it was left", deadOnce("failed")),
  claim("a timed out job is dead exactly once, as it was left", deadOnce("timeout")),
  claim("a dying job is in one place at every moment", oneCopy, "exactInfo"),
  claim("a dead job does not come back by itself", async (lab) => {
    await bury(lab, "1");
    await lab.elapse(lab.ms(500));
    equal(await lab.take(10), [], "reserve");
  }),
  claim("a dead job keeps its lost count, and a reload begins at 0", keepsLost),
  claim("a reload returns a dead job to work, as it was left", async (lab) => {
    await lab.push({ id: "1", name: "kept", payload: bytes("kept") });
    await lab.settle(await lab.one(), { to: "failed", meta: META, reason: "r" });
    const before = lab.now();
    equal(await lab.t.reload("work", "failed", "all", { ...lab.call, reset: false }), {
      reloaded: 1,
      taken: 0,
    }, "reload");
    await lab.holds(counted({ waiting: 1 }), "info");
    const { token: _, lease: __, due, ...delivery } = await lab.one();
    const wanted = {
      queue: "work",
      id: "1",
      name: "kept",
      payload: bytes("kept"),
      meta: META,
      lost: 0,
      reset: false,
    };
    equal(delivery, wanted, "delivery");
    between(due, before - lab.slack, lab.now() + lab.slack, "due");
  }),
  claim("a reload for a full life says so until the job is settled again", resetFlag),
  claim("a reload without a full life after one with it says so", async (lab) => {
    await bury(lab, "1");
    await lab.t.reload("work", "failed", "all", { ...lab.call, reset: true });
    await lab.settle(await lab.one(), { to: "failed", meta: "m", reason: "r" });
    await lab.t.reload("work", "failed", "all", { ...lab.call, reset: false });
    equal((await lab.one()).reset, false, "reset");
  }),
  claim("a job may die, be reloaded and die again", async (lab) => {
    await bury(lab, "1");
    for (const channel of ["timeout", "failed", "timeout"] as const) {
      const from: DeadChannel = channel === "timeout" ? "failed" : "timeout";
      await lab.t.reload("work", from, "all", { ...lab.call, reset: false });
      await lab.settle(await lab.one(), { to: channel, meta: channel, reason: "r" });
      await lab.holds(counted({ [channel]: 1 }), "info");
      equal(only(await lab.entries(channel), "dead jobs").meta, channel, "metadata");
    }
  }),
  claim("metadata and payload survive again, death, reload and lost leases byte for byte", survivesAll),
  claim("dead jobs survive a restart with their reason", async (lab) => {
    await bury(lab, "1", { reason: "mine" });
    await bury(lab, "2", { reason: "other" });
    await lab.t[Symbol.asyncDispose]();
    await lab.subject.restart?.(lab.store);
    const t = await lab.open();
    const page = await t.list("work", "failed", { limit: 10, preview: 10 }, lab.call);
    equal(page.entries.map(({ id, meta }) => [id, meta]), [["2", "dead 2"], ["1", "dead 1"]], "dead jobs");
    equal(await t.remove("work", "failed", { reason: "mine" }, lab.call), 1, "removed by reason");
    ok((await t.get("work", ["2"], lab.call))[0] !== undefined, "the other is still there");
  }, "restart"),
];
