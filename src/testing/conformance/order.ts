/**
 * Due time decides whose turn it is, and the order of dispatch where it is equal.
 *
 * @module
 */

import type { PushJob } from "../../jobs/exchange.ts";
import { between, equal, only } from "./assert.ts";
import type { Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

/** Milliseconds that part two due times: a transport may promise their order only from half a second on. */
const APART = 700;
/** Delayed jobs that are more than a transport promotes at once. */
const MANY = 1_200;

/** Jobs that become due in another order than that of their dispatch, some of them while no reserve looks. */
async function shuffle(lab: Lab): Promise<readonly string[]> {
  const apart = lab.ms(APART);
  await lab.push({ id: "third", delay: 3 * apart }, { id: "at once" });
  await lab.elapse(apart);
  await lab.push({ id: "second", delay: apart }, { id: "first" });
  await lab.elapse(3 * apart);
  await lab.push({ id: "last" });
  return ["at once", "first", "second", "third", "last"];
}

async function fellDue(lab: Lab): Promise<void> {
  await lab.push({ id: "delayed", delay: lab.ms(100) });
  await lab.elapse(lab.ms(100 + APART));
  await lab.push({ id: "later" });
  equal((await lab.come(2)).map(({ id }) => id), ["delayed", "later"], "order");
}

async function manyFellDue(lab: Lab): Promise<void> {
  const delayed = Array.from({ length: MANY }, (_, n): Partial<PushJob> => ({
    id: `delayed-${n}`,
    delay: lab.ms(100),
  }));
  await lab.push(...delayed);
  await lab.elapse(lab.ms(100 + APART));
  await lab.push(...Array.from({ length: 50 }, (_, n) => ({ id: `later-${n}` })));
  const seen: string[] = [];
  while (seen.length < MANY) {
    const found = await lab.come(100);
    seen.push(...found.map(({ id }) => id));
    if (found.length === 0) break;
  }
  equal(seen.filter((id) => id.startsWith("later")), [], "of the later jobs, among the first 1,200");
  equal(new Set(seen).size, MANY, "jobs that fell due");
}

async function pastIsNow(lab: Lab): Promise<void> {
  await lab.push({ id: "before" });
  const start = lab.now();
  await lab.push({ id: "past", at: Math.floor(start) - 60_000 }, { id: "epoch", at: 0 });
  const end = lab.now();
  await lab.push({ id: "behind" });
  const deliveries = await lab.come(4);
  equal(deliveries.map(({ id }) => id), ["before", "past", "epoch", "behind"], "order");
  for (const { id, due } of deliveries.slice(1, 3)) {
    between(due, start - lab.slack, end + lab.slack, `due time of '${id}'`);
  }
}

/** A release changes no due time, and so no place in the order. */
async function releaseKeeps(lab: Lab): Promise<void> {
  await lab.push({ id: "first", delay: lab.ms(100) });
  await lab.elapse(lab.ms(100 + APART));
  const first = only(await lab.come(), "deliveries");
  await lab.push({ id: "second" });
  await lab.settle(first, { to: "release" });
  const [again, second] = await lab.come(2);
  equal([again?.id, second?.id], ["first", "second"], "order after the release");
  equal(again?.due, first.due, "due after the release");
}

/** The cases of the group. */
export const ORDER: readonly Claim[] = [
  claim("a job without a delay is due at the instant of its dispatch", async (lab) => {
    const before = lab.now();
    await lab.push({ id: "1" });
    const after = lab.now();
    await lab.elapse(lab.ms(200));
    const { due } = await lab.one();
    between(due, before - lab.slack, after + lab.slack, "due");
  }),
  claim("a job that fell due while no worker looked comes before what was dispatched later", fellDue),
  claim("however many fell due meanwhile come before what was dispatched later", manyFellDue),
  claim("jobs come by due time, whatever their delays were", async (lab) => {
    const wanted = await shuffle(lab);
    equal((await lab.come(5)).map(({ id }) => id), wanted, "order");
  }),
  claim("jobs come by due time, one at a time", async (lab) => {
    const seen: string[] = [];
    const wanted = await shuffle(lab);
    for (const _ of wanted) seen.push(...(await lab.come(1)).map(({ id }) => id));
    equal(seen, wanted, "order");
  }),
  claim("a listing of what waits is in the order of due times", async (lab) => {
    const wanted = await shuffle(lab);
    equal((await lab.entries("waiting")).map(({ id }) => id), wanted, "listed");
  }),
  claim("an instant in the past is due now, and in front of no other job", pastIsNow),
  claim("a released job keeps its due time, and its place", releaseKeeps),
];
