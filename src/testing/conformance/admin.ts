/**
 * An operator's reads show the jobs that are there, and an operator's writes touch the named jobs and nothing else.
 *
 * @module
 */

import type { Selection } from "../../jobs/exchange.ts";
import { type Channel, CHANNELS, DEAD_CHANNELS, type DeadChannel } from "../../jobs/job.ts";
import { at, between, equal, ok } from "./assert.ts";
import { counted, type Counts, type Lab } from "./lab.ts";
import { bury } from "./dead.ts";
import { type Claim, claim } from "./claim.ts";

/** One job in each channel of a queue, named after its channel. */
async function everywhere(lab: Lab, queue: string): Promise<void> {
  await lab.push({ queue, id: "failed" }, { queue, id: "timeout" }, { queue, id: "reserved" });
  const [failed, timeout] = await lab.take(3, { queues: [queue] });
  ok(failed !== undefined && timeout !== undefined, "deliveries");
  await lab.settle(failed, { to: "failed", meta: "m", reason: "r" });
  await lab.settle(timeout, { to: "timeout", meta: "m", reason: "r" });
  await lab.push({ queue, id: "waiting" }, { queue, id: "delayed", delay: lab.long });
}

const ONE_EACH: Counts = { waiting: 1, delayed: 1, reserved: 1, failed: 1, timeout: 1 };

async function reload(lab: Lab, channel: DeadChannel, select: Selection, queue = "work"): Promise<number> {
  return (await lab.t.reload(queue, channel, select, { ...lab.call, reset: false })).reloaded;
}

/** Counts at each step equal those of the steps, and those of a listing of each channel. */
async function scripted(lab: Lab): Promise<void> {
  const expect = async (part: Partial<Counts>, step: string): Promise<void> => {
    await lab.holds(counted(part), `info ${step}`);
    for (const channel of CHANNELS) {
      equal((await lab.entries(channel)).length, part[channel] ?? 0, `listed in ${channel} ${step}`);
    }
  };
  await expect({}, "at first");
  await lab.push({ id: "1" }, { id: "2" }, { id: "3" }, { id: "4" }, { id: "5" }, {
    id: "d",
    delay: lab.long,
  });
  await expect({ waiting: 5, delayed: 1 }, "after the push");
  const deliveries = await lab.take(4);
  const [one, two, three, four] = deliveries;
  ok(one !== undefined && two !== undefined && three !== undefined && four !== undefined, "four deliveries");
  await expect({ waiting: 1, delayed: 1, reserved: 4 }, "after the reserve");
  await lab.settle(one, { to: "done" });
  await expect({ waiting: 1, delayed: 1, reserved: 3 }, "after done");
  await lab.settle(two, { to: "again", meta: "m", delay: lab.long });
  await expect({ waiting: 1, delayed: 2, reserved: 2 }, "after again");
  await lab.settle(three, { to: "failed", meta: "m", reason: "r" });
  await expect({ waiting: 1, delayed: 2, reserved: 1, failed: 1 }, "after failed");
  await lab.settle(three, { to: "timeout", meta: "m", reason: "r" });
  await expect({ waiting: 1, delayed: 2, reserved: 1, failed: 1 }, "after a stale settle");
  await lab.settle(four, { to: "timeout", meta: "m", reason: "r" });
  await expect({ waiting: 1, delayed: 2, failed: 1, timeout: 1 }, "after timeout");
  await lab.settle(await lab.one(), { to: "release" });
  await expect({ waiting: 1, delayed: 2, failed: 1, timeout: 1 }, "after a release");
  equal(await reload(lab, "failed", "all"), 1, "reloaded");
  await expect({ waiting: 2, delayed: 2, timeout: 1 }, "after a reload");
  equal(await lab.t.remove("work", "delayed", { ids: ["d"] }, lab.call), 1, "removed");
  await expect({ waiting: 2, delayed: 1, timeout: 1 }, "after a removal");
  equal(await lab.t.remove("work", "timeout", "all", lab.call), 1, "flushed");
  await expect({ waiting: 2, delayed: 1 }, "after a flush");
}

/** A flush of each channel takes that channel's jobs and no others, in that queue and no other. */
async function flushes(lab: Lab): Promise<void> {
  await everywhere(lab, "a");
  await everywhere(lab, "b");
  const left: Record<Channel, number> = { ...ONE_EACH };
  for (const channel of ["failed", "waiting", "timeout", "reserved", "delayed"] as const) {
    equal(await lab.t.remove("a", channel, "all", lab.call), 1, `flushed from ${channel}`);
    left[channel] = 0;
    await lab.holds(left, `info after the flush of ${channel}`, "a");
    equal(await lab.t.get("a", [channel], lab.call), [undefined], `the job of ${channel}`);
    equal(await lab.t.remove("a", channel, "all", lab.call), 0, `flushed from ${channel} again`);
    await lab.holds(ONE_EACH, "info of the other queue", "b");
  }
}

/** Five dead jobs that differ in name, reason and time. */
async function assorted(lab: Lab): Promise<number> {
  await bury(lab, "1", { name: "a", reason: "x" });
  await bury(lab, "2", { name: "b", reason: "x" });
  await bury(lab, "3", { name: "a", reason: "y" });
  await lab.elapse(lab.ms(50));
  const before = Math.floor(lab.now());
  await lab.elapse(lab.ms(50));
  await bury(lab, "4", { name: "a", reason: "x" });
  await bury(lab, "5", { name: "b", reason: "y", channel: "timeout" });
  return before;
}

const SELECTIONS: readonly (readonly [string, (before: number) => Selection, readonly string[]])[] = [
  ["all", () => "all", ["1", "2", "3", "4"]],
  ["ids", () => ({ ids: ["3", "1", "none", "5"] }), ["1", "3"]],
  ["no ids", () => ({ ids: [] }), []],
  ["a name", () => ({ name: "a" }), ["1", "3", "4"]],
  ["a name that nothing has", () => ({ name: "A" }), []],
  ["a reason", () => ({ reason: "x" }), ["1", "2", "4"]],
  ["a name and a reason", () => ({ name: "a", reason: "x" }), ["1", "4"]],
  ["an instant", (before) => ({ before }), ["1", "2", "3"]],
  ["an instant, a name and a reason", (before) => ({ before, name: "a", reason: "x" }), ["1"]],
];

function reloads(select: (before: number) => Selection, ids: readonly string[]): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const before = await assorted(lab);
    const selection = select(before);
    const answer = await lab.t.reload("work", "failed", selection, { ...lab.call, reset: false });
    equal(answer, { reloaded: ids.length, taken: 0 }, "reload");
    equal((await lab.take(10)).map(({ id }) => id), ids, "what is back, oldest death first");
    await lab.holds(counted({ reserved: ids.length, failed: 4 - ids.length, timeout: 1 }), "info");
  };
}

function removes(select: (before: number) => Selection, ids: readonly string[]): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const before = await assorted(lab);
    equal(await lab.t.remove("work", "failed", select(before), lab.call), ids.length, "removed");
    const left = ["4", "3", "2", "1"].filter((id) => !ids.includes(id));
    equal((await lab.entries("failed")).map(({ id }) => id), left, "what is left, newest first");
    await lab.holds(counted({ failed: left.length, timeout: 1 }), "info");
  };
}

/** The cases of the group. */
export const ADMIN: readonly Claim[] = [
  claim("info is exact at each step of a script, and equals the listings", scripted, "exactInfo"),
  claim("info says how long the oldest waiting job has been due", async (lab) => {
    equal((await lab.t.info("work", lab.call)).oldest, undefined, "oldest when nothing waits");
    await lab.push({ id: "1", delay: lab.long });
    equal((await lab.t.info("work", lab.call)).oldest, undefined, "oldest when all are delayed");
    await lab.push({ id: "2" });
    await lab.elapse(lab.ms(300));
    await lab.push({ id: "3" });
    const oldest = (await lab.t.info("work", lab.call)).oldest ?? -1;
    between(oldest, lab.ms(300) - lab.slack, lab.ms(2_000) + lab.slack, "oldest");
    await lab.one();
    between((await lab.t.info("work", lab.call)).oldest ?? -1, 0, lab.ms(290), "oldest of the rest");
    await lab.one();
    equal((await lab.t.info("work", lab.call)).oldest, undefined, "oldest when all are reserved");
  }),
  claim("info of a queue that never was is all 0", async (lab) => {
    await lab.push({});
    await lab.holds(counted(), "info", "never");
    equal((await lab.t.queues(lab.call)).includes("never"), false, "listed among the queues");
  }),
  claim("queues are listed sorted, each once, also when empty again", async (lab) => {
    await lab.push({ queue: "b" }, { queue: "a" }, { queue: "c", delay: lab.long }, { queue: "b" });
    await lab.settle(await lab.one({ queues: ["a"] }), { to: "done" });
    await lab.take(1, { queues: ["never"] });
    equal(await lab.t.queues(lab.call), ["a", "b", "c"], "queues");
  }),
  claim("get finds a job in every channel, whole", async (lab) => {
    await everywhere(lab, "work");
    const found = await lab.t.get("work", [...CHANNELS, "none", "waiting"], lab.call);
    equal(
      found.map((entry) => entry?.channel),
      [...CHANNELS, undefined, "waiting"],
      "channels, in the order asked",
    );
    equal(found.map((entry) => entry?.id), [...CHANNELS, undefined, "waiting"], "ids");
    equal(
      await lab.t.get("other", [...CHANNELS], lab.call),
      CHANNELS.map(() => undefined),
      "in another queue",
    );
  }),
  claim("get shows a payload whole", async (lab) => {
    const payload = Uint8Array.from({ length: 200_000 }, (_, n) => n & 255);
    await lab.push({ id: "1", payload });
    const entry = await lab.entry("1");
    equal([entry?.payload, entry?.size], [payload, payload.length], "payload and size");
  }),
  claim("get finds the live job of an id before its dead ones", async (lab) => {
    await bury(lab, "1", { idWindow: 0 });
    await lab.push({ id: "1", idWindow: 0, meta: "live" });
    equal((await lab.entry("1"))?.meta, "live", "metadata");
    await lab.settle(await lab.one(), { to: "done" });
    equal((await lab.entry("1"))?.meta, "dead 1", "metadata when it is done");
  }),
  claim("get finds the newest of the dead jobs of an id, whatever its channel", async (lab) => {
    for (const [n, channel] of (["failed", "timeout", "failed"] as const).entries()) {
      await lab.push({ id: "1", idWindow: 0 });
      await lab.settle(await lab.one(), { to: channel, meta: `${n}`, reason: "r" });
      await lab.elapse(lab.ms(20));
      equal((await lab.entry("1"))?.meta, `${n}`, "metadata");
    }
  }),
  ...SELECTIONS.flatMap(([what, select, ids]) => [
    claim(`a reload by ${what} takes these and no others`, reloads(select, ids)),
    claim(`a removal by ${what} takes these and no others`, removes(select, ids)),
  ]),
  claim("a removal by name takes live jobs of that name", async (lab) => {
    await lab.push({ id: "1", name: "a" }, { id: "2", name: "b" }, { id: "3", name: "a", delay: lab.long });
    equal(await lab.t.remove("work", "waiting", { name: "a" }, lab.call), 1, "removed from waiting");
    equal(await lab.t.remove("work", "delayed", { name: "b" }, lab.call), 0, "removed from delayed");
    await lab.holds(counted({ waiting: 1, delayed: 1 }), "info");
    equal((await lab.one()).id, "2", "what is left");
  }),
  claim("a flush takes one channel of one queue", flushes),
  claim(
    "a delayed job whose time came is removed with those that wait, and not with the delayed",
    async (lab) => {
      await lab.push({ id: "later", delay: lab.long }, { id: "due", delay: lab.ms(200) });
      await lab.elapse(lab.ms(250) + lab.slack);
      await lab.holds(counted({ waiting: 1, delayed: 1 }), "info");
      equal(
        await lab.t.remove("work", "delayed", { ids: ["due"] }, lab.call),
        0,
        "removed by id from delayed",
      );
      equal(await lab.t.remove("work", "delayed", "all", lab.call), 1, "removed from delayed");
      await lab.holds(counted({ waiting: 1 }), "info after the first removal");
      equal(await lab.t.remove("work", "waiting", "all", lab.call), 1, "removed from waiting");
      await lab.holds(counted(), "info after the second removal");
    },
  ),
  claim("a reload takes one channel of one queue", async (lab) => {
    await everywhere(lab, "a");
    await everywhere(lab, "b");
    equal(await reload(lab, "failed", "all", "a"), 1, "reloaded");
    await lab.holds({ ...ONE_EACH, waiting: 2, failed: 0 }, "info", "a");
    await lab.holds(ONE_EACH, "info of the other queue", "b");
  }),
  claim("a removal by id takes the job of that channel only", async (lab) => {
    await bury(lab, "1", { idWindow: 0 });
    await lab.push({ id: "1", idWindow: 0 });
    equal(
      await lab.t.remove("work", "delayed", { ids: ["1"] }, lab.call),
      0,
      "from a channel where it is not",
    );
    equal(await lab.t.remove("work", "failed", { ids: ["1"] }, lab.call), 1, "from the dead");
    await lab.holds(counted({ waiting: 1 }), "info");
  }),
  claim("a reload of more than a page reloads all, oldest death first", async (lab) => {
    const ids = Array.from({ length: 1_300 }, (_, n) => `${n}`);
    await lab.push(...ids.map((id) => ({ id })));
    for (let held = await lab.take(650); held.length > 0; held = await lab.take(650)) {
      const dead = held.map(({ queue, token }) => ({
        queue,
        token,
        to: "failed" as const,
        meta: "m",
        reason: "r",
      }));
      await lab.t.settle(dead, lab.call);
    }
    equal(await reload(lab, "failed", "all"), 1_300, "reloaded");
    const back = [...await lab.come(650), ...await lab.come(650)];
    equal(back.map(({ id }) => id), ids, "order");
  }),
  claim("admin calls on a queue that never was do nothing", async (lab) => {
    for (const channel of CHANNELS) {
      equal(await lab.t.remove("never", channel, "all", lab.call), 0, "removed");
    }
    for (const channel of DEAD_CHANNELS) equal(await reload(lab, channel, "all", "never"), 0, "reloaded");
    equal(await lab.t.queues(lab.call), [], "queues");
  }),
  claim("an entry that another program put in is a job named after its queue", async (lab) => {
    const payload = Uint8Array.of(0, 255, 123, 10);
    await lab.subject.raw?.(lab.store, "work", payload);
    const delivery = at(await lab.come(), 0, "deliveries");
    equal([delivery.name, delivery.meta, delivery.payload], ["work", "", payload], "name, metadata, payload");
    ok(delivery.id.length > 0, "an id");
    await lab.settle(delivery, { to: "again", meta: "seen" });
    const next = at(await lab.come(), 0, "deliveries after again");
    equal(
      [next.id, next.meta, next.payload],
      [delivery.id, "seen", payload],
      "id, metadata, payload after again",
    );
    equal(await lab.settle(next, { to: "failed", meta: "m", reason: "r" }), "settled", "settle");
    equal((await lab.entry(delivery.id))?.name, "work", "name of the dead job");
  }, "raw"),
  claim("two entries that another program put in are two jobs", async (lab) => {
    const payload = Uint8Array.of(1, 2, 3);
    for (let n = 0; n < 2; n++) await lab.subject.raw?.(lab.store, "work", payload);
    await lab.holds(counted({ waiting: 2 }), "info");
    const ids = [...await lab.come(1), ...await lab.come(1)].map(({ id }) => id);
    equal(new Set(ids).size, 2, "different ids");
  }, "raw"),
  claim("an entry that another program put in has a number as its id, behind a '#'", async (lab) => {
    await lab.subject.raw?.(lab.store, "work", Uint8Array.of(1));
    const { id } = at(await lab.come(), 0, "deliveries");
    ok(id.startsWith("#") && id.length > 1, `an id that no dispatch may give (found '${id}')`);
    equal((await lab.entry(id))?.channel, "reserved", "channel of the entry with this id");
  }, "raw"),
  claim(
    "no two entries of other programs have the same id, though each is done before the next",
    async (lab) => {
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) {
        await lab.subject.raw?.(lab.store, "work", Uint8Array.of(n));
        const delivery = at(await lab.come(), 0, "deliveries");
        ids.push(delivery.id);
        const end = n % 2 === 0 ? { to: "done" } as const : { to: "failed", meta: "m", reason: "r" } as const;
        equal(await lab.settle(delivery, end), "settled", "settle");
        if (end.to === "failed") await lab.t.remove("work", "failed", "all", lab.call);
      }
      equal(new Set(ids).size, 4, "different ids");
    },
    "raw",
  ),
];
