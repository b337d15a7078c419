/**
 * Many at once, and long random walks: nothing is lost, nothing is doubled, and the counts are right.
 *
 * @module
 */

import { equal } from "./assert.ts";
import { bytes, counted, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";
import { walk } from "./walk.ts";

const PRODUCERS = 16;
const CONSUMERS = 32;
const JOBS = 1_000;

/** 16 producers, 32 consumers, 1,000 jobs: each is stored, delivered and settled once. */
async function crowd(lab: Lab, clients: number): Promise<void> {
  const open = [lab.t];
  while (open.length < clients) open.push(await lab.open());
  const client = (n: number): Lab["t"] => open[n % clients] ?? lab.t;
  const settled: string[] = [];
  let over = false;
  const produce = async (producer: number): Promise<void> => {
    for (let n = producer; n < JOBS; n += PRODUCERS) {
      const part = { id: `${n}`, name: "n", payload: bytes(`${n}`), meta: "" };
      equal(await client(producer).push([{ queue: "work", ...part }], lab.call), ["stored"], "push");
    }
  };
  const consume = async (consumer: number): Promise<void> => {
    const from = client(consumer);
    while (settled.length < JOBS && !over) {
      for (const delivery of await lab.take(1 + consumer % 4, { from, wait: lab.ms(100) })) {
        equal(delivery.payload, bytes(delivery.id), "payload");
        equal(await lab.settle(delivery, { to: "done" }, from), "settled", "settle");
        settled.push(delivery.id);
      }
    }
  };
  const all = Promise.all([
    ...Array.from({ length: PRODUCERS }, (_, n) => produce(n)),
    ...Array.from({ length: CONSUMERS }, (_, n) => consume(n)),
  ]);
  await lab.within(all, lab.ms(60_000), "the end of the crowd").finally(() => over = true);
  equal(settled.sort(), Array.from({ length: JOBS }, (_, n) => `${n}`).sort(), "ids that were settled");
  await lab.holds(counted(), "info at the end");
}

/** Workers that fail, release and lose leases now and then; in the end every job is done or dead, once. */
async function troubled(lab: Lab): Promise<void> {
  const total = 300;
  await lab.push(...Array.from({ length: total }, (_, n) => ({ id: `${n}` })));
  const done = new Set<string>();
  let dead = 0;
  let over = false;
  const work = async (worker: number): Promise<void> => {
    for (let n = worker; done.size + dead < total && !over; n++) {
      const [delivery] = await lab.take(1, { wait: lab.ms(50), lease: n % 11 === 0 ? lab.brief : lab.long });
      if (delivery === undefined || n % 11 === 0) continue;
      if (n % 5 === 0) await lab.settle(delivery, { to: "release" });
      else if (n % 7 === 0) await lab.settle(delivery, { to: "again", meta: "m", delay: lab.ms(30) });
      else if (n % 13 === 0) {
        if (await lab.settle(delivery, { to: "failed", meta: "m", reason: "r" }) === "settled") dead++;
      } else if (await lab.settle(delivery, { to: "done" }) === "settled") {
        equal(done.has(delivery.id), false, `job ${delivery.id} done before`);
        done.add(delivery.id);
      }
    }
  };
  const all = Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(work));
  await lab.within(all, lab.ms(60_000), "the end of the work").finally(() => over = true);
  await lab.holds(counted({ failed: dead }), "info at the end");
}

/** The cases of the group. */
export const STRESS: readonly Claim[] = [
  claim("16 producers and 32 consumers on one client: each job is settled once", (lab) => crowd(lab, 1)),
  claim(
    "16 producers and 32 consumers on four clients: each job is settled once",
    (lab) => crowd(lab, 4),
    "shared",
  ),
  claim("workers that fail, release and die: each job ends once", troubled),
  claim(
    "a random walk of 2,000 calls does what a tiny model does",
    (lab) => walk(lab, 1, 2_000),
    "exactInfo",
    "idLive",
  ),
  claim("another random walk does too, as soon as all is at rest", (lab) => walk(lab, 4_711, 500), "idLive"),
];
