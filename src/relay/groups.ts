/**
 * The groups that get a topic's jobs: they are bound to it and unbound from it, by workers as they start, or by hand.
 *
 * @module
 */

import type { AdminOptions } from "./admin.ts";
import type { Definitions, Jobs, NameOf } from "../jobs/definitions.ts";
import { UnknownJobError } from "../errors.ts";
import type { Call } from "../jobs/exchange.ts";
import { checkGroup, groupQueue } from "../names.ts";
import { checkKnown, checkSignal, shown } from "../options.ts";
import type { Topics, Transport } from "../contract/transport.ts";

/** The part of a relay that deals with the groups of topics. A topic is named by any job whose definition has it. */
export interface Groups<J extends Jobs> {
  /**
   * Lets a group get the topic's jobs from now on; once more is no error. The first group of a topic that has none
   * gets the jobs that were dispatched before, too. Workers bind the groups of their handlers by themselves when they
   * start: this is for a deploy whose group must miss nothing until its workers run.
   *
   * @throws {TypeError | RangeError} for a job that goes to a plain queue, or a name that no group can have.
   * @throws {UnknownJobError} for a name that no definition has.
   */
  bind(name: NameOf<J>, group: string, options?: AdminOptions): Promise<void>;
  /**
   * Ends that: the jobs of the group's queue stay there, to be handled or removed. Stop the group's workers before: one
   * that starts, or that finds the transport again, binds it anew, and so does, within ten seconds, a running worker of
   * another relay, as it cannot tell this from a store that forgot. Running workers of this relay leave it unbound.
   * False when the group was not bound.
   *
   * @throws {TypeError | RangeError | UnknownJobError} as `bind` does.
   */
  unbind(name: NameOf<J>, group: string, options?: AdminOptions): Promise<boolean>;
  /**
   * The groups that are bound to a topic, sorted by name.
   *
   * @throws {TypeError | UnknownJobError} as `bind` does.
   */
  groups(name: NameOf<J>, options?: AdminOptions): Promise<readonly string[]>;
}

/** Makes it over a transport; `unbound` are the queues of groups that it has unbound. */
export function createGroups(
  definitions: Definitions,
  transport: Transport,
  deadline: number,
  unbound: Set<string>,
): Groups<Jobs> {
  const callOf = (action: string, options: AdminOptions): Call => {
    checkKnown(action, options, ["signal"]);
    checkSignal(action, options.signal);
    options.signal?.throwIfAborted();
    return { deadline, signal: options.signal };
  };
  const find = (action: string, name: string): { readonly topic: string; readonly topics: Topics } => {
    const definition = definitions.get(name);
    if (definition === undefined || definition.name !== name) {
      throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}`);
    }
    const { topic } = definition;
    const { topics } = transport;
    // A relay with topics is not made on a transport without them.
    if (topic === undefined || topics === undefined) {
      throw new TypeError(`Cannot ${action} of '${name}' as its jobs go to a queue: only topics have groups`);
    }
    return { topic, topics };
  };
  return {
    async bind(name, group, options = {}) {
      const action = "bind a group";
      const { topic, topics } = find(action, name);
      checkGroup(topic, group, action);
      await topics.bind(topic, group, callOf(action, options));
      unbound.delete(groupQueue(topic, group));
    },
    async unbind(name, group, options = {}) {
      const action = "unbind a group";
      const { topic, topics } = find(action, name);
      checkGroup(topic, group, action);
      const call = callOf(action, options);
      // Before the call: a worker that looks in between must not take it for a loss.
      unbound.add(groupQueue(topic, group));
      return await topics.unbind(topic, group, call);
    },
    async groups(name, options = {}) {
      const action = "list the groups";
      const { topic, topics } = find(action, name);
      return [...await topics.groups(topic, callOf(action, options))];
    },
  };
}
