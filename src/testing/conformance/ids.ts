/**
 * A caller's id names at most one live job, and is held for as long as was asked.
 *
 * @module
 */

import { at, equal, only } from "./assert.ts";
import { counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";
import type { Need } from "./subject.ts";

const LIVE: Need = "idLive";
const WINDOW: Need = "idWindow";

async function refused(lab: Lab, idWindow: number, when: string): Promise<void> {
  equal(await lab.push({ id: "x", idWindow }), ["duplicate"], `push of its id ${when}`);
}

async function accepted(lab: Lab, idWindow: number, when: string): Promise<void> {
  equal(await lab.push({ id: "x", idWindow }), ["stored"], `push of its id ${when}`);
}

/** Waiting, reserved, delayed, released, reclaimed: refused in each. */
async function whileLive(lab: Lab): Promise<void> {
  await accepted(lab, 0, "at first");
  await refused(lab, 0, "while it waits");
  const first = await lab.one({ lease: lab.brief });
  await refused(lab, 0, "while it is reserved");
  await lab.expire();
  await refused(lab, 0, "when its lease ended");
  const second = only(await lab.come(), "deliveries");
  await refused(lab, 0, "while another holds it");
  equal(await lab.settle(first, { to: "done" }), "stale", "late settle");
  await refused(lab, 0, "after a late settle");
  await lab.settle(second, { to: "release" });
  await refused(lab, 0, "after a release");
  await lab.settle(await lab.one(), { to: "again", meta: "m", delay: lab.long });
  await refused(lab, 0, "while it is delayed");
  await lab.holds(counted({ delayed: 1 }), "info");
}

async function theDead(lab: Lab): Promise<void> {
  await accepted(lab, 0, "at first");
  await lab.settle(await lab.one(), { to: "failed", meta: "first", reason: "r" });
  await accepted(lab, 0, "while it is dead");
  equal((await lab.entry("x"))?.channel, "waiting", "found by id");
  await lab.settle(await lab.one(), { to: "failed", meta: "second", reason: "r" });
  await lab.holds(counted({ failed: 2 }), "info");
  equal((await lab.entry("x"))?.meta, "second", "the newest dead is found by id");
}

/** Of two dead jobs of one id the older comes back, and the other stays. */
async function taken(lab: Lab): Promise<void> {
  await theDead(lab);
  const call = { ...lab.call, reset: false };
  equal(
    await lab.t.reload("work", "failed", { ids: ["x"] }, call),
    { reloaded: 1, taken: 1 },
    "first reload",
  );
  await lab.holds(counted({ waiting: 1, failed: 1 }), "info");
  equal(await lab.t.reload("work", "failed", "all", call), { reloaded: 0, taken: 1 }, "second reload");
  const delivery = await lab.one();
  equal(delivery.meta, "first", "the older");
  equal(
    await lab.t.reload("work", "failed", "all", call),
    { reloaded: 0, taken: 1 },
    "reload while reserved",
  );
  await refused(lab, 0, "while the reloaded one is live");
  await lab.settle(delivery, { to: "done" });
  equal(
    await lab.t.reload("work", "failed", "all", call),
    { reloaded: 1, taken: 0 },
    "reload when none is live",
  );
}

/** The cases of the group. */
export const IDS: readonly Claim[] = [
  claim("an id is refused while its job is live, wherever it is", whileLive, LIVE),
  claim("an id is refused while its job is live, its window long over", async (lab) => {
    await accepted(lab, lab.ms(50), "at first");
    await lab.elapse(lab.ms(200));
    await refused(lab, lab.ms(50), "while it waits");
    await lab.holds(counted({ waiting: 1 }), "info");
  }, LIVE),
  claim("a refused job does not replace the one that is live", async (lab) => {
    await lab.push({ id: "x", idWindow: lab.long, name: "first", meta: "first" });
    equal(
      await lab.push({ id: "x", idWindow: lab.long, name: "second", meta: "second" }),
      ["duplicate"],
      "push",
    );
    const { name, meta } = await lab.one();
    equal([name, meta], ["first", "first"], "the job");
  }, LIVE),
  claim("an id with a window of 0 is free once its job is done", async (lab) => {
    await accepted(lab, 0, "at first");
    await lab.settle(await lab.one(), { to: "done" });
    await accepted(lab, 0, "when it is done");
    equal((await lab.one()).id, "x", "id");
  }, LIVE),
  claim("an id is refused within its window when its job is done", async (lab) => {
    await accepted(lab, lab.long, "at first");
    await lab.settle(await lab.one(), { to: "done" });
    await refused(lab, lab.long, "when it is done");
    await lab.holds(counted(), "info");
  }, WINDOW),
  claim("an id is refused within its window when its job is dead", async (lab) => {
    await accepted(lab, lab.long, "at first");
    await lab.settle(await lab.one(), { to: "failed", meta: "m", reason: "r" });
    await refused(lab, lab.long, "when it is dead");
    await lab.holds(counted({ failed: 1 }), "info");
  }, WINDOW),
  claim("an id is refused within its window when its job was removed", async (lab) => {
    await accepted(lab, lab.long, "at first");
    equal(await lab.t.remove("work", "waiting", "all", lab.call), 1, "removed");
    await refused(lab, lab.long, "when it was removed");
  }, WINDOW),
  claim("an id is free when its window is over and its job is done", async (lab) => {
    await accepted(lab, lab.ms(300), "at first");
    await lab.settle(await lab.one(), { to: "done" });
    await refused(lab, lab.ms(300), "within the window");
    await lab.elapse(lab.ms(400));
    await accepted(lab, lab.ms(300), "after the window");
    equal((await lab.one()).id, "x", "id");
  }, WINDOW),
  claim("an id is free when its window is over and its job is dead", async (lab) => {
    await accepted(lab, lab.ms(300), "at first");
    await lab.settle(await lab.one(), { to: "timeout", meta: "m", reason: "r" });
    await lab.elapse(lab.ms(400));
    await accepted(lab, lab.ms(300), "after the window");
    await lab.holds(counted({ waiting: 1, timeout: 1 }), "info");
  }, WINDOW),
  claim("a refused push does not lengthen the window", async (lab) => {
    await accepted(lab, lab.ms(400), "at first");
    await lab.settle(await lab.one(), { to: "done" });
    await lab.elapse(lab.ms(200));
    await refused(lab, lab.long, "within the window");
    await lab.elapse(lab.ms(300));
    await accepted(lab, 0, "after the first window");
  }, WINDOW),
  claim("a dead job does not hold its id", theDead, LIVE),
  claim("a removed job does not hold its id", async (lab) => {
    await accepted(lab, 0, "at first");
    equal(await lab.t.remove("work", "waiting", { ids: ["x"] }, lab.call), 1, "removed");
    await accepted(lab, 0, "when it was removed");
    await lab.one();
    equal(await lab.t.remove("work", "reserved", "all", lab.call), 1, "removed while reserved");
    await accepted(lab, 0, "when it was removed while reserved");
  }, LIVE),
  claim("a reload leaves a job dead whose id is taken, and says so", taken, LIVE),
  claim("a reloaded job holds its id", async (lab) => {
    await accepted(lab, 0, "at first");
    await lab.settle(await lab.one(), { to: "failed", meta: "m", reason: "r" });
    await lab.t.reload("work", "failed", "all", { ...lab.call, reset: true });
    await refused(lab, 0, "after the reload");
  }, LIVE),
  claim("the second of two equal ids in one batch is refused", async (lab) => {
    const idWindow = lab.long;
    const results = await lab.push({ id: "x", idWindow }, { id: "y", idWindow }, { id: "x", idWindow }, {
      id: "z",
    });
    equal(results, ["stored", "stored", "duplicate", "stored"], "results");
    equal((await lab.take(10)).map(({ id }) => id), ["x", "y", "z"], "jobs");
  }, LIVE),
  claim(
    "two equal ids refuse an atomic batch",
    async (lab) => {
      const batch = [job({ id: "x", idWindow: 0 }), job({ id: "x", idWindow: 0 })];
      const results = await lab.t.push(batch, { ...lab.call, atomic: true });
      equal(results, ["withheld", "duplicate"], "results");
      await lab.holds(counted(), "info");
      await accepted(lab, 0, "alone");
    },
    LIVE,
    "atomicPush",
  ),
  claim("the same id in two queues is two jobs", async (lab) => {
    const part = { id: "x", idWindow: lab.long };
    equal(await lab.push({ queue: "a", ...part }, { queue: "b", ...part }), ["stored", "stored"], "push");
    equal(await lab.push({ queue: "b", ...part }), ["duplicate"], "second push");
    await lab.settle(await lab.one({ queues: ["a"] }), { to: "done" });
    equal((await lab.entry("x", "b"))?.channel, "waiting", "the other");
  }, LIVE),
  claim("generated ids are not held against anyone", async (lab) => {
    await accepted(lab, lab.long, "at first");
    const jobs = Array.from({ length: 200 }, () => job());
    equal(await lab.t.push(jobs, lab.call), jobs.map(() => "stored"), "push");
    await lab.holds(counted({ waiting: 201 }), "info");
  }),
  claim("one of many who push an id at once is accepted", async (lab) => {
    const clients = [lab.t];
    if (lab.subject.features.shared) clients.push(await lab.open(), await lab.open());
    const results = await Promise.all(Array.from({ length: 30 }, async (_, n) => {
      const client = at(clients, n % clients.length, "clients");
      return only(await client.push([job({ id: "x", idWindow: lab.long })], lab.call), "results");
    }));
    equal(results.filter((result) => result === "stored").length, 1, "accepted");
    equal(results.filter((result) => result === "duplicate").length, 29, "refused");
    await lab.holds(counted({ waiting: 1 }), "info");
  }, LIVE),
  claim(
    "an id's window survives a restart",
    async (lab) => {
      await accepted(lab, lab.long, "at first");
      await lab.settle(await lab.one(), { to: "done" });
      await lab.t[Symbol.asyncDispose]();
      await lab.subject.restart?.(lab.store);
      const t = await lab.open();
      equal(await t.push([job({ id: "x", idWindow: lab.long })], lab.call), ["duplicate"], "push");
    },
    WINDOW,
    "restart",
  ),
];
