/**
 * Topics: the groups that get a copy of each job that is pushed to one.
 *
 * @module
 */

import { groupQueue, partsOf, topicQueue } from "../../names.ts";
import { pour } from "./queue/room.ts";
import { roomOf, type Store } from "./context.ts";

/** Binds a group; the first gets the waiting jobs. */
export function bind(store: Store, topic: string, group: string): void {
  const own = topicQueue(topic);
  const queue = groupQueue(topic, group);
  const bound = store.groups.get(own);
  store.groups.set(own, new Set([...bound ?? [], queue]));
  const waiting = store.rooms.get(own);
  if (bound !== undefined || waiting === undefined) return;
  pour(waiting, roomOf(store, queue));
  wake(store, [queue]);
}

/** Unbinds a group; says whether it was bound. */
export function unbind(store: Store, topic: string, group: string): boolean {
  const own = topicQueue(topic);
  const left = new Set(store.groups.get(own));
  if (!left.delete(groupQueue(topic, group))) return false;
  if (left.size > 0) store.groups.set(own, left);
  else store.groups.delete(own);
  return true;
}

/** The groups that are bound, sorted. */
export function groups(store: Store, topic: string): readonly string[] {
  const queues = [...store.groups.get(topicQueue(topic)) ?? []];
  return queues.map((queue) => partsOf(queue).group ?? "").sort();
}

/** The queues that a job pushed to a queue goes to: a copy each. */
export function targetsOf(store: Store, queue: string): Iterable<string> {
  return store.groups.get(queue) ?? [queue];
}

/** Tells waiting calls in which queues a job may have come, and when the jobs there will be due. */
export function wake(store: Store, queues: readonly string[]): void {
  store.waiters.notify(queues);
  for (const queue of queues) {
    const timed = store.rooms.get(queue)?.timed.first();
    if (timed !== undefined) store.waiters.expect(queue, timed.time);
  }
}
