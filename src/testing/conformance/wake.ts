/**
 * A waiting reserve hears of a job early, and every wait can be ended.
 *
 * @module
 */

import type { Delivery } from "../../jobs/exchange.ts";
import { between, equal, ok, only, rejects } from "./assert.ts";
import { counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

/** How soon a waiting reserve must have heard; far less than `long`, which is how long it would wait. */
const SOON = 2_000;

async function heard(
  lab: Lab,
  waiting: Promise<readonly Delivery[]>,
  soon: number = SOON,
): Promise<Delivery> {
  return only(await lab.within(waiting, lab.ms(soon), "the reserve that waits"), "deliveries");
}

/** Begins a reserve that waits, and gives it time to have begun. */
async function begin(
  lab: Lab,
  options: Parameters<Lab["take"]>[1] = {},
): Promise<{ answer: Promise<readonly Delivery[]> }> {
  const answer = lab.take(1, { wait: lab.long, ...options });
  answer.catch(() => {});
  await lab.elapse(lab.ms(50));
  return { answer };
}

async function abortedInBetween(lab: Lab): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController();
    const reason = new Error(`round ${round}`);
    const { answer } = await begin(lab, { signal: controller.signal });
    const pushed = lab.push({ id: `${round}` });
    if (round % 2 === 1) await pushed;
    controller.abort(reason);
    await pushed;
    const seen = await lab.within(
      answer.catch((thrown: unknown) => thrown),
      lab.ms(SOON),
      "the aborted reserve",
    );
    const deliveries = Array.isArray(seen) ? await answer : await lab.come();
    if (!Array.isArray(seen)) ok(seen === reason, "a rejection with the signal's reason");
    const delivery = only(deliveries, `deliveries of round ${round}`);
    equal([delivery.id, delivery.lost], [`${round}`, 0], "the job, no lease of it lost");
    await lab.settle(delivery, { to: "done" });
  }
}

/** The cases of the group. */
export const WAKE: readonly Claim[] = [
  claim("a reserve without a wait answers at once", async (lab) => {
    const before = lab.now();
    equal(await lab.take(1), [], "reserve");
    between(lab.now() - before, 0, lab.ms(SOON), "milliseconds");
  }),
  claim("a reserve of an empty queue is empty when its wait is over, not before", async (lab) => {
    const before = lab.now();
    const answer = lab.take(1, { wait: lab.ms(300) });
    equal(await lab.within(answer, lab.ms(SOON), "the empty answer"), [], "answer");
    between(lab.now() - before, lab.ms(300) - 5, lab.ms(SOON), "milliseconds");
  }),
  claim("a wait beyond the deadline is granted", async (lab) => {
    const answer = lab.take(1, { wait: lab.ms(600), deadline: lab.ms(200) });
    equal(await lab.within(answer, lab.ms(SOON), "the empty answer"), [], "answer");
  }),
  claim("a wait longer than a timer can hold is not over at once", async (lab) => {
    const { answer } = await begin(lab, { wait: 2 ** 31 + 1_000 });
    let ended = false;
    answer.then(() => ended = true, () => ended = true);
    await lab.elapse(lab.ms(200));
    ok(!ended, "the reserve still waits");
    await lab.push({ id: "1" });
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("a push wakes who waits", async (lab) => {
    const { answer } = await begin(lab);
    await lab.push({ id: "1" });
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("a push by another client wakes who waits", async (lab) => {
    const { answer } = await begin(lab, { from: await lab.open() });
    await lab.push({ id: "1" });
    equal((await heard(lab, answer)).id, "1", "id");
  }, "shared"),
  claim("a push to any of its queues wakes who waits", async (lab) => {
    const { answer } = await begin(lab, { queues: ["a", "b", "c"] });
    await lab.push({ queue: "c" });
    equal((await heard(lab, answer)).queue, "c", "queue");
  }),
  claim("a push to another queue leaves who waits waiting", async (lab) => {
    const controller = new AbortController();
    const { answer } = await begin(lab, { signal: controller.signal });
    await lab.push({ queue: "other" });
    let ended = false;
    answer.finally(() => ended = true).catch(() => {});
    await lab.elapse(lab.ms(200));
    ok(!ended, "the reserve still waits");
    controller.abort();
    await rejects(lab.within(answer, lab.ms(SOON), "the aborted reserve"), "the aborted reserve");
  }),
  claim("one push wakes one of two who wait, and the next push the other", async (lab) => {
    const first = (await begin(lab)).answer;
    const second = (await begin(lab)).answer;
    await lab.push({ id: "1" });
    const winner = await lab.within(Promise.race([first, second]), lab.ms(SOON), "the first to wake");
    await lab.push({ id: "2" });
    const both = await lab.within(Promise.all([first, second]), lab.ms(SOON), "both");
    equal(only(winner, "deliveries").id, "1", "id of the first");
    equal(both.flat().map(({ id }) => id).sort(), ["1", "2"], "ids");
  }),
  claim("a job that becomes due wakes who waits", async (lab) => {
    await lab.push({ id: "1", delay: lab.ms(500) });
    const { answer } = await begin(lab);
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("a push that is due sooner than what is awaited wakes who waits in time", async (lab) => {
    await lab.push({ id: "late", delay: lab.long });
    const { answer } = await begin(lab);
    await lab.push({ id: "soon", delay: lab.ms(300) });
    equal((await heard(lab, answer)).id, "soon", "id");
  }),
  claim("a lease that runs out wakes who waits", async (lab) => {
    await lab.push({ id: "1" });
    await lab.one({ lease: lab.brief });
    const { answer } = await begin(lab);
    const delivery = await heard(lab, answer, SOON + lab.brief);
    equal([delivery.id, delivery.lost], ["1", 1], "id and lost");
  }),
  claim("a job settled again wakes who waits", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one();
    const { answer } = await begin(lab);
    await lab.settle(delivery, { to: "again", meta: "2" });
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("a release wakes who waits", async (lab) => {
    await lab.push({ id: "1" });
    const delivery = await lab.one();
    const { answer } = await begin(lab);
    await lab.settle(delivery, { to: "release" });
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("a reload wakes who waits", async (lab) => {
    await lab.push({ id: "1" });
    await lab.settle(await lab.one(), { to: "failed", meta: "m", reason: "r" });
    const { answer } = await begin(lab);
    await lab.t.reload("work", "failed", "all", { ...lab.call, reset: false });
    equal((await heard(lab, answer)).id, "1", "id");
  }),
  claim("an abort during the wait rejects with the signal's reason", async (lab) => {
    const controller = new AbortController();
    const reason = { why: "enough" };
    const { answer } = await begin(lab, { signal: controller.signal });
    controller.abort(reason);
    const seen = await lab.within(
      answer.catch((thrown: unknown) => thrown),
      lab.ms(SOON),
      "the aborted reserve",
    );
    ok(seen === reason, "a rejection with the signal's reason");
  }),
  claim("a job pushed after an aborted reserve goes to the next who asks", async (lab) => {
    const controller = new AbortController();
    const { answer } = await begin(lab, { signal: controller.signal });
    controller.abort();
    await rejects(lab.within(answer, lab.ms(SOON), "the aborted reserve"), "the aborted reserve");
    await lab.t.push([job({ id: "1" })], lab.call);
    const delivery = only(await lab.come(), "deliveries");
    equal([delivery.id, delivery.lost], ["1", 0], "id and lost");
  }),
  claim("a job pushed after an aborted reserve waits, and is removed with all that wait", async (lab) => {
    const controller = new AbortController();
    const { answer } = await begin(lab, { signal: controller.signal });
    controller.abort();
    await rejects(lab.within(answer, lab.ms(SOON), "the aborted reserve"), "the aborted reserve");
    await lab.push({ id: "1" }, { id: "2" });
    await lab.holds(counted({ waiting: 2 }), "info");
    equal(await lab.t.remove("work", "waiting", "all", lab.call), 2, "removed");
    await lab.holds(counted(), "info after the removal");
  }),
  claim("a job pushed while a reserve is aborted is never lost", abortedInBetween),
  claim("an aborted reserve leaves the others waiting", async (lab) => {
    const controller = new AbortController();
    const first = (await begin(lab, { signal: controller.signal })).answer;
    const second = (await begin(lab)).answer;
    controller.abort();
    await rejects(lab.within(first, lab.ms(SOON), "the aborted reserve"), "the aborted reserve");
    await lab.push({ id: "1" });
    equal((await heard(lab, second)).id, "1", "id");
  }),
];
