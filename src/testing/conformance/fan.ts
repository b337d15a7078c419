/**
 * Short words for things that cases with topics do all the time. A transport may copy a job to its groups a moment
 * after the push was answered, so that these words wait for a moment where others would look once.
 *
 * @module
 */

import type { Delivery, Pushed, PushJob } from "../../jobs/exchange.ts";
import { topicQueue } from "../../names.ts";
import type { Topics, Transport } from "../../contract/transport.ts";
import { equal, ok } from "./assert.ts";
import { counted, type Counts, type Lab } from "./lab.ts";

/** The topic of a case that names none. */
export const TOPIC = "orders";
/** Its own queue. */
export const OWN: string = topicQueue(TOPIC);
/** The queues of three of its groups. */
export const A = "orders@a";
export const B = "orders@b";
export const C = "orders@c";

/** The ability, which the subject says is there. */
export function topicsOf(transport: Transport): Topics {
  const { topics } = transport;
  ok(topics !== undefined, "a transport with topics");
  return topics;
}

/** Binds groups of the topic, one after another. */
export async function bind(lab: Lab, ...groups: readonly string[]): Promise<void> {
  for (const group of groups) await topicsOf(lab.t).bind(TOPIC, group, lab.call);
}

/** Pushes to the topic. */
export function publish(lab: Lab, ...jobs: readonly Partial<PushJob>[]): Promise<readonly Pushed[]> {
  return lab.push(...jobs.map((one) => ({ queue: OWN, ...one })));
}

/** Reserves the jobs that come to a queue, and claims that it is exactly this, in this order. */
export async function gets(lab: Lab, queue: string, wanted: readonly string[]): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  while (found.length < wanted.length) {
    const more = await lab.come(wanted.length - found.length, { queues: [queue] });
    if (more.length === 0) break;
    found.push(...more);
  }
  found.push(...await lab.take(1, { queues: [queue] }));
  equal(found.map(({ id }) => id), wanted, `what ${queue} gets`);
  return found;
}

/** Claims that a queue's counts are these, within a moment. */
export async function shows(lab: Lab, queue: string, part: Partial<Counts>): Promise<void> {
  const wanted = counted(part);
  equal(await lab.countsOnce(wanted, queue), wanted, `info of ${queue}`);
}
