/**
 * A reserved job is one worker's alone, in the order that was promised.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import { equal, ok } from "./assert.ts";
import { counted, type Lab, QUEUE } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

function ids(deliveries: readonly Delivery[]): readonly string[] {
  return deliveries.map(({ id }) => id);
}

/** Many reservers at once on however many clients; every job goes to one of them. */
async function crowd(lab: Lab, clients: number): Promise<void> {
  const from = [lab.t];
  while (from.length < clients) from.push(await lab.open());
  const wanted = Array.from({ length: 200 }, (_, n) => `${n}`);
  await lab.push(...wanted.map((id) => ({ id })));
  const seen: Delivery[] = [];
  await Promise.all(Array.from({ length: 50 }, async (_, n) => {
    const client = from[n % clients] ?? lab.t;
    for (let empty = 0; empty < 3 && seen.length < wanted.length;) {
      const deliveries = await lab.take(1 + n % 5, { from: client });
      empty = deliveries.length === 0 ? empty + 1 : 0;
      seen.push(...deliveries);
    }
  }));
  equal([...ids(seen)].sort(), wanted.sort(), "ids of all deliveries");
  equal(new Set(seen.map(({ token }) => token)).size, wanted.length, "different tokens");
}

/** Has `lost` entries come back from lost leases beside `fresh` ones. */
async function comeBack(lab: Lab, lost: number, fresh: number): Promise<void> {
  await lab.push(...Array.from({ length: lost }, (_, n) => ({ id: `lost-${n}` })));
  equal((await lab.take(lost, { lease: lab.brief })).length, lost, "first deliveries");
  await lab.push(...Array.from({ length: fresh }, (_, n) => ({ id: `fresh-${n}` })));
  await lab.expire();
}

function backIn(deliveries: readonly Delivery[]): number {
  return deliveries.filter(({ lost }) => lost > 0).length;
}

async function noSlots(lab: Lab): Promise<void> {
  await comeBack(lab, 3, 2);
  const first = await lab.come(5, { slots: 0 });
  const second = await lab.take(5, { slots: 0 });
  const taken = [...first, ...second];
  equal(backIn(taken), 0, "jobs that came back, without a slot");
  equal([...ids(taken)].sort(), ["fresh-0", "fresh-1"], "fresh jobs");
  equal(
    [...ids(await lab.come(5))].sort(),
    ["lost-0", "lost-1", "lost-2"],
    "jobs that came back, with slots",
  );
}

async function someSlots(lab: Lab): Promise<void> {
  await comeBack(lab, 4, 4);
  const seen: Delivery[] = [];
  for (let round = 0; round < 12 && seen.length < 8; round++) {
    const deliveries = await lab.come(4, { slots: 2, wait: lab.ms(50) });
    ok(backIn(deliveries) <= 2, `at most 2 jobs that came back in one answer (found ${backIn(deliveries)})`);
    seen.push(...deliveries);
  }
  equal(new Set(ids(seen)).size, 8, "jobs in all");
}

async function hiddenBehind(lab: Lab): Promise<void> {
  await comeBack(lab, 50, 1);
  equal(ids(await lab.come(1, { slots: 0 })), ["fresh-0"], "the fresh job behind 50 that came back");
}

/** The cases of the group. */
export const RESERVE: readonly Claim[] = [
  claim("reserve hands over at most limit", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" }, { id: "3" }, { id: "4" }, { id: "5" });
    equal(ids(await lab.take(2)), ["1", "2"], "first answer");
    equal(ids(await lab.take(10)), ["3", "4", "5"], "second answer");
    equal(ids(await lab.take(10)), [], "third answer");
  }),
  claim("a reserved job is nobody else's", async (lab) => {
    await lab.push({ id: "1" });
    await lab.one();
    equal(await lab.take(10), [], "second reserve");
    await lab.holds(counted({ reserved: 1 }), "info");
  }),
  claim("a job that another client reserved is nobody else's", async (lab) => {
    const second = await lab.open();
    await lab.push({ id: "1" });
    await lab.one({ from: second });
    equal(await lab.take(10), [], "reserve by the first");
  }, "shared"),
  claim("jobs that wait come first in, first out", async (lab) => {
    for (let n = 0; n < 20; n++) await lab.push({ id: `${n}` });
    const seen: string[] = [];
    for (let n = 0; n < 20; n++) seen.push(...ids(await lab.take(1)));
    equal(seen, Array.from({ length: 20 }, (_, n) => `${n}`), "ids");
  }),
  claim("a reserve of several queues takes from the first named first", async (lab) => {
    await lab.push({ queue: "a", id: "a1" }, { queue: "b", id: "b1" }, { queue: "a", id: "a2" }, {
      queue: "b",
      id: "b2",
    });
    equal(ids(await lab.take(3, { queues: ["b", "none", "a"] })), ["b1", "b2", "a1"], "deliveries");
    equal(ids(await lab.take(3, { queues: ["b", "a"] })), ["a2"], "the rest");
  }),
  claim("a delivery says which of the queues it came from", async (lab) => {
    await lab.push({ queue: "a" }, { queue: "b" });
    const queues = (await lab.take(2, { queues: ["a", "b"] })).map(({ queue }) => queue);
    equal(queues, ["a", "b"], "queues");
  }),
  claim("a queue that never held a job is empty", async (lab) => {
    equal(await lab.take(5, { queues: ["never", "ever"] }), [], "reserve");
  }),
  claim("50 reservers of one client never share a job", (lab) => crowd(lab, 1)),
  claim("50 reservers of five clients never share a job", (lab) => crowd(lab, 5), "shared"),
  claim("no slots: nothing that came back from a lost lease", noSlots),
  claim("n slots: at most n that came back from lost leases in one answer", someSlots),
  claim("jobs that came back do not hide fresh ones", hiddenBehind),
  claim("slots are counted over all queues of a reserve", async (lab) => {
    await lab.push({ queue: "a" }, { queue: "b" });
    equal((await lab.take(2, { queues: ["a", "b"], lease: lab.brief })).length, 2, "first deliveries");
    await lab.expire();
    equal((await lab.come(2, { queues: ["a", "b"], slots: 1 })).length, 1, "with one slot");
    equal((await lab.come(2, { queues: ["a", "b"], slots: 1 })).length, 1, "with another");
  }),
  claim("a released job that came back before still needs a slot", async (lab) => {
    await comeBack(lab, 1, 0);
    const [delivery] = await lab.come();
    ok(delivery !== undefined, "the job that came back");
    await lab.settle(delivery, { to: "release" });
    equal(await lab.take(1, { slots: 0 }), [], "without a slot");
    equal((await lab.one()).lost, 1, "lost, with a slot");
  }),
  claim("a reserve whose signal aborted before takes nothing", async (lab) => {
    await lab.push({ id: "1" });
    const reason = new Error("before");
    const signal = AbortSignal.abort(reason);
    const seen = await lab.take(1, { signal }).then(() => undefined, (thrown: unknown) => thrown);
    ok(seen === reason, "a rejection with the signal's reason");
    const delivery = await lab.one();
    equal([delivery.id, delivery.lost], ["1", 0], "the job afterwards");
  }),
  claim("a call whose signal aborted before changes nothing", async (lab) => {
    await lab.push({ id: "1" }, { id: "2" });
    const { queue, token } = await lab.one();
    const reason = new Error("before");
    const call = { ...lab.call, signal: AbortSignal.abort(reason) };
    const calls = {
      push: () => lab.t.push([{ queue, id: "3", name: "n", payload: new Uint8Array(), meta: "" }], call),
      settle: () => lab.t.settle([{ queue, token, to: "done" }], call),
      extend: () => lab.t.extend([{ queue, token, ms: lab.long }], call),
      info: () => lab.t.info(queue, call),
      queues: () => lab.t.queues(call),
      list: () => lab.t.list(queue, "waiting", { limit: 1, preview: 0 }, call),
      get: () => lab.t.get(queue, ["1"], call),
      reload: () => lab.t.reload(queue, "failed", "all", { ...call, reset: false }),
      remove: () => lab.t.remove(queue, "waiting", "all", call),
    };
    for (const [name, run] of Object.entries(calls)) {
      const seen = await run().then(() => undefined, (thrown: unknown) => thrown);
      ok(seen === reason, `${name} rejects with the signal's reason`);
    }
    await lab.holds(counted({ waiting: 1, reserved: 1 }), "info afterwards", QUEUE);
  }),
];
