/**
 * Faults under a running worker: one queue that cannot be used, a store that forgot which groups there are.
 *
 * @module
 */

import { createRelay, type Relay } from "../../relay/relay.ts";
import type { StandardSchema } from "../../payload/schema.ts";
import { ClaimError, equal, ok } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { bytes, job, type Lab } from "./lab.ts";

const anything: StandardSchema<unknown> = {
  "~standard": { version: 1, vendor: "relevo", validate: (value) => ({ value }) },
};
const JOBS = {
  good: { schema: anything, queue: "good" },
  bad: { schema: anything, queue: "bad" },
  other: { schema: anything, queue: "other" },
};
const TOPIC_JOBS = { paid: { schema: anything, queue: "orders", topic: true } };
/** Milliseconds within which a worker finds out, tries again and goes on. */
const BOUND = 40_000;
const STEP = 50;

function jobOf(queue: string, id: string): ReturnType<typeof job> {
  return job({ queue, id, name: queue, payload: bytes("1"), meta: "" });
}

/** Lets a worker of a relay run while a check looks on, and closes both. */
async function whileRunning<J extends typeof JOBS | typeof TOPIC_JOBS>(
  lab: Lab,
  relay: Relay<J>,
  check: () => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const run = relay.run({ signal: stop.signal, poll: lab.ms(500) });
  try {
    await check();
  } finally {
    stop.abort();
    await lab.within(run, lab.ms(BOUND), "the end of the worker");
    await lab.within(relay.close(), lab.ms(BOUND), "the end of the relay");
  }
}

/** Lets time go by until something is so. It leaves off itself: one that was given up would move the clock for ever. */
async function until(lab: Lab, isSo: () => boolean, what: string): Promise<void> {
  for (let spent = 0; !isSo(); spent += STEP) {
    if (spent > BOUND) throw new ClaimError(`${what}: nothing happened within ${lab.ms(BOUND)} ms`);
    await lab.elapse(lab.ms(STEP));
  }
}

async function rejects(lab: Lab): Promise<void> {
  await lab.t.push([jobOf("good", "1"), jobOf("bad", "2"), jobOf("other", "3")], lab.call);
  const mend = await lab.subject.spoil?.(lab.store, "bad");
  const queues = ["good", "bad", "other"];
  const answer = await lab.take(9, { queues, wait: lab.ms(500) }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  ok(answer instanceof Error, "a reserve of queues of which one cannot be used rejects with an error");
  for (const [queue, id] of [["good", "1"], ["other", "3"]] as const) {
    const [delivery] = await lab.come(1, { queues: [queue] });
    equal([delivery?.id, delivery?.lost], [id, 0], `the job of '${queue}', and its losses`);
  }
  await mend?.();
}

async function othersGoOn(lab: Lab): Promise<void> {
  const relay = createRelay({ jobs: JOBS, transport: lab.t, log: false, runtime: lab.subject.runtime?.() });
  const ran: string[] = [];
  const told: string[] = [];
  for (const name of ["good", "bad", "other"] as const) {
    relay.handle(name, (_, { job: { id } }) => void ran.push(id));
  }
  relay.events.addEventListener("queue", ({ detail: { queue, state } }) => told.push(`${queue} ${state}`));
  const has = (...ids: readonly string[]) => (): boolean => ids.every((id) => ran.includes(id));
  await lab.t.push([jobOf("good", "g1"), jobOf("bad", "b1"), jobOf("other", "o1")], lab.call);
  const mend = await lab.subject.spoil?.(lab.store, "bad");
  await whileRunning(lab, relay, async () => {
    await until(lab, has("g1", "o1"), "the jobs of the other queues");
    await until(lab, () => told.includes("bad down"), "an event with the queue's name");
    await lab.t.push([jobOf("good", "g2"), jobOf("other", "o2")], lab.call);
    await until(lab, has("g2", "o2"), "the next jobs of the other queues");
    await mend?.();
    await lab.t.push([jobOf("bad", "b2")], lab.call);
    await until(lab, has("b2"), "the job of the queue that was mended");
    await until(lab, () => told.includes("bad up"), "an event that the queue works again");
  });
  equal(told, ["bad down", "bad up"], "events");
}

async function boundAgain(lab: Lab): Promise<void> {
  const relay = createRelay({
    jobs: TOPIC_JOBS,
    transport: lab.t,
    log: false,
    runtime: lab.subject.runtime?.(),
  });
  const ran: string[] = [];
  const told: string[] = [];
  relay.handle("paid", (_, { job: { id } }) => void ran.push(id), { group: "a" });
  relay.events.addEventListener("queue", ({ detail: { queue, state } }) => told.push(`${queue} ${state}`));
  const publish = (id: string): Promise<unknown> =>
    lab.eventually(() =>
      lab.t.push([job({ queue: "orders@", id, name: "paid", payload: bytes("1"), meta: "" })], lab.call)
    );
  await whileRunning(lab, relay, async () => {
    await publish("1");
    await until(lab, () => ran.includes("1"), "the first job");
    await lab.subject.lose?.(lab.store);
    await publish("2");
    await until(lab, () => ran.includes("2"), "the job that was published when the group was forgotten");
    await until(lab, () => told.includes("orders@a up"), "an event that the group is bound again");
  });
  equal(told, ["orders@a down", "orders@a up"], "events");
}

/** The cases of the group. */
export const TROUBLE: readonly Claim[] = [
  claim(
    "a queue that cannot be used makes a reserve reject, and takes no job of the others along",
    rejects,
    "spoil",
  ),
  claim(
    "while one queue cannot be used a worker handles the others, and that one when it is mended",
    othersGoOn,
    "spoil",
  ),
  claim("a group that the store forgot is bound again under a running worker", boundAgain, "topics", "lose"),
];
