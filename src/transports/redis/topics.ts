/**
 * Topics: the groups that are bound, and the jobs that the first of them gets.
 *
 * @module
 */

import type { Call } from "../../jobs/exchange.ts";
import { groupQueue, topicQueue } from "../../names.ts";
import type { Topics } from "../../contract/transport.ts";
import { restOf } from "../../store/calls.ts";
import { type Context, replies } from "./context.ts";
import { textOf } from "./client/driver.ts";
import type { TopicScripts } from "./scripts/topics.ts";

/** Makes the ability to fan out. */
export function createTopics(context: Context, scripts: TopicScripts): Topics {
  const { link, keys, registry, runtime } = context;

  async function bind(topic: string, group: string, call: Call): Promise<void> {
    const rest = restOf(runtime, "bind a group", call);
    const base = keys.base(topicQueue(topic));
    for (let done: unknown = 0; done !== 1;) {
      const [answer, heir] = replies(await link.run(scripts.bind, [base], [group], rest()));
      done = answer;
      const name = textOf(heir);
      // Its queue may hold jobs now that no client pushed to it.
      if (name !== "") await registry.enter([groupQueue(topic, name)], rest());
    }
  }

  return {
    bind,
    async unbind(topic, group, call) {
      return await link.run(scripts.unbind, [keys.base(topicQueue(topic))], [group], call) === 1;
    },
    async groups(topic, call) {
      const key = keys.key(topicQueue(topic), "groups");
      const members = replies(await link.command(key, ["SMEMBERS", key], call));
      return members.map(textOf).sort();
    },
  };
}
