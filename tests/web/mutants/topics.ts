/** Faults of topics: who gets what, and what one group's doings do to another's. */
import { CHANNELS } from "../../../src/jobs/job.ts";
import type { Pushed } from "../../../src/jobs/exchange.ts";
import { groupQueue, partsOf, topicQueue } from "../../../src/names.ts";
import type { Topics, Transport } from "../../../src/contract/transport.ts";
import { around, type Mutant, watching } from "./mutants.ts";

/** The transport with some of its verbs for topics replaced. */
function binding(inner: Transport, change: (topics: Topics) => Partial<Topics>): Transport {
  const { topics } = inner;
  if (topics === undefined) throw new Error("A transport with topics was wanted");
  return around(inner, { topics: { ...topics, ...change(topics) } });
}

const shared: Mutant = {
  fault: "groups share one copy: the first that is done ends the job for all",
  found: "what one group does with a job is no other group's business",
  wrap(inner) {
    const ids = new Map<string, string>();
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        ids.set(delivery.token, delivery.id);
        return delivery;
      }),
      async settle(settlements, call) {
        for (const { queue, token, to } of settlements) {
          const { topic } = partsOf(queue);
          const id = ids.get(token);
          if (topic === undefined || id === undefined || to !== "done") continue;
          for (const group of await inner.topics?.groups(topic, call) ?? []) {
            if (groupQueue(topic, group) === queue) continue;
            for (const channel of CHANNELS) {
              await inner.remove(groupQueue(topic, group), channel, { ids: [id] }, call);
            }
          }
        }
        return await inner.settle(settlements, call);
      },
    });
  },
};

const firstGetsNothing: Mutant = {
  fault: "what waits in a topic is dropped when the first group is bound",
  found:
    "what a topic without a group holds goes whole and in order to the first, and later ones begin with the next push",
  wrap: (inner) =>
    binding(inner, (topics) => ({
      async bind(topic, group, call) {
        for (const channel of CHANNELS) await inner.remove(topicQueue(topic), channel, "all", call);
        await topics.bind(topic, group, call);
      },
    })),
};

const everyoneGetsAll: Mutant = {
  fault: "each new group gets what the first has not yet done",
  found:
    "what a topic without a group holds goes whole and in order to the first, and later ones begin with the next push",
  wrap: (inner) =>
    binding(inner, (topics) => ({
      async bind(topic, group, call) {
        const [first] = await topics.groups(topic, call);
        await topics.bind(topic, group, call);
        if (first === undefined) return;
        const { entries } = await inner.list(
          groupQueue(topic, first),
          "waiting",
          { limit: 1_000, preview: 0 },
          call,
        );
        await inner.push(
          entries.map(({ id, name, payload, meta }) => ({
            queue: groupQueue(topic, group),
            id,
            name,
            payload,
            meta,
          })),
          call,
        );
      },
    })),
};

const piecemeal: Mutant = {
  fault: "what an atomic batch publishes is pushed apart from its other jobs",
  found: "an atomic batch of topics and queues is stored whole or not at all",
  wrap: (inner) =>
    around(inner, {
      async push(jobs, call) {
        if (call.atomic !== true) return await inner.push(jobs, call);
        const results: Pushed[] = [];
        for (const job of jobs) {
          const isPublished = partsOf(job.queue).group === "";
          results.push(...await inner.push([job], { ...call, atomic: !isPublished }));
        }
        return results.some((result) => result !== "stored")
          ? results.map((result) => result === "stored" ? "withheld" : result)
          : results;
      },
    }),
};

const firstGroupDecides: Mutant = {
  fault: "an id is free as soon as the first group is done with its job",
  found: "an id is refused while its job is live in any group",
  wrap: (inner) =>
    around(inner, {
      async push(jobs, call) {
        const [job] = jobs;
        const { topic, group } = partsOf(job?.queue ?? "");
        if (job === undefined || topic === undefined || group !== "") return await inner.push(jobs, call);
        const [first] = await inner.topics?.groups(topic, call) ?? [];
        const queue = first === undefined ? job.queue : groupQueue(topic, first);
        const [entry] = await inner.get(queue, [job.id], call);
        if (entry !== undefined) return await inner.push(jobs, call);
        return await inner.push([{ ...job, idWindow: undefined }], call);
      },
    }),
};

const emptied: Mutant = {
  fault: "a group that is unbound loses what its queue holds",
  found: "a group that is unbound keeps what it has and gets no more, and after the last jobs wait again",
  wrap: (inner) =>
    binding(inner, (topics) => ({
      async unbind(topic, group, call) {
        for (const channel of CHANNELS) await inner.remove(groupQueue(topic, group), channel, "all", call);
        return await topics.unbind(topic, group, call);
      },
    })),
};

const reservable: Mutant = {
  fault: "a reserve from a topic's own queue finds nothing instead of being refused",
  found: "a reserve from a topic's own queue is refused",
  wrap: (inner) =>
    around(inner, {
      reserve: (queues, options) =>
        inner.reserve(queues.filter((queue) => partsOf(queue).group !== ""), options),
    }),
};

const lateCopies: Mutant = {
  fault: "a bind takes what waits and is entered a moment later: what is pushed in between waits for ever",
  found: "groups bound while pushes are under way lose nothing and double nothing",
  wrap: (inner) =>
    binding(inner, (topics) => ({
      async bind(topic, group, call) {
        if ((await topics.groups(topic, call)).length > 0) return await topics.bind(topic, group, call);
        await topics.bind(topic, group, call);
        await topics.unbind(topic, group, call);
        await topics.bind(topic, "nobody", call);
        for (let moment = 0; moment < 20; moment++) await Promise.resolve();
        await topics.bind(topic, group, call);
        await topics.unbind(topic, "nobody", call);
      },
    })),
};

/** Faults of this kind. */
export const TOPIC_MUTANTS: readonly Mutant[] = [
  shared,
  firstGetsNothing,
  everyoneGetsAll,
  piecemeal,
  firstGroupDecides,
  emptied,
  reservable,
  lateCopies,
];
