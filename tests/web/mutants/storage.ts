/** Faults of what is stored, when it is due, and who may have which id. */
import type { Channel } from "../../../src/jobs/job.ts";
import { around, type Mutant, pushing, settling } from "./mutants.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A job without the wish that its id be held. */
function unheld<T extends { readonly idWindow?: number | undefined }>(
  { idWindow: _, ...job }: T,
): Omit<T, "idWindow"> {
  return job;
}

const wholeSeconds: Mutant = {
  fault: "delays are cut to whole seconds",
  found: "a delay of a second and a bit keeps its milliseconds",
  wrap: (inner) =>
    pushing(
      inner,
      (job) => job.delay === undefined ? job : { ...job, delay: Math.floor(job.delay / 1_000) * 1_000 },
    ),
};

const roundedUp: Mutant = {
  fault: "delays are rounded up to whole seconds, so that equal times are no longer in order",
  found: "jobs due at the same instant come in the order of dispatch",
  wrap(inner) {
    let count = 0;
    return pushing(inner, (job) => job.at === undefined ? job : { ...job, at: job.at - (count++ % 3) });
  },
};

const atLoses: Mutant = {
  fault: "a delay wins over an instant",
  found: "an instant wins over a delay",
  wrap: (inner) =>
    pushing(inner, ({ at, ...job }) => job.delay !== undefined || at === undefined ? job : { ...job, at }),
};

const promotedBehind: Mutant = {
  fault: "what falls due goes behind what was stored meanwhile",
  found: "a job that fell due while no worker looked comes before what was dispatched later",
  wrap(inner) {
    const delayed = new Set<string>();
    const marked = pushing(inner, (job) => {
      if (job.delay !== undefined) delayed.add(job.id);
      return job;
    });
    return around(marked, {
      async reserve(queues, options) {
        const found = await marked.reserve(queues, options);
        return [...found].sort((a, b) => Number(delayed.has(a.id)) - Number(delayed.has(b.id)));
      },
    });
  },
};

const pastFirst: Mutant = {
  fault: "an instant in the past is kept, so that its job comes before all that waits",
  found: "an instant in the past is due now, and in front of no other job",
  wrap(inner) {
    const past = new Set<string>();
    const marked = pushing(inner, (job) => {
      if (job.at !== undefined) past.add(job.id);
      return job;
    });
    return around(marked, {
      async reserve(queues, options) {
        const found = await marked.reserve(queues, options);
        return [...found].sort((a, b) => Number(past.has(b.id)) - Number(past.has(a.id)));
      },
    });
  },
};

const releasedAnew: Mutant = {
  fault: "a release makes a job due anew, behind what waits",
  found: "a released job keeps its due time, and its place",
  wrap: (inner) =>
    settling(
      inner,
      (settlement) =>
        settlement.to === "release"
          ? { queue: settlement.queue, token: settlement.token, to: "again", meta: "m", delay: 0 }
          : settlement,
    ),
};

const oneSpoilsAll: Mutant = {
  fault: "a listing fails as a whole where one entry's metadata makes no sense",
  found: "no metadata that makes no sense ends a worker or an operator's call",
  wrap: (inner) =>
    around(inner, {
      async list(queue, channel, page, call) {
        const found = await inner.list(queue, channel, page, call);
        for (const { meta } of found.entries) if (meta !== "") JSON.parse(meta);
        return found;
      },
    }),
};

const deadAfterDelete: Mutant = {
  fault: "the dead letter is written after the job was deleted",
  found: "a dying job is in one place at every moment",
  wrap: (inner) =>
    around(inner, {
      async settle(settlements, call) {
        const queue = settlements[0]?.queue ?? "";
        const reserved = await inner.list(queue, "reserved", { limit: 1_000, preview: 2 ** 20 }, call);
        if (!settlements.some(({ to }) => to === "failed" || to === "timeout")) {
          return inner.settle(settlements, call);
        }
        const results = await inner.settle(
          settlements.map(({ token }) => ({ queue, token, to: "done" })),
          call,
        );
        for (const one of settlements) {
          await Promise.resolve();
          const jobs = reserved.entries.map(({ id, name, payload, meta }) => ({
            queue,
            id,
            name,
            payload,
            meta,
          }));
          await inner.push(jobs, call);
          const again = await inner.reserve([queue], { limit: 1, slots: 1, lease: 10_000, wait: 0, ...call });
          for (const { token } of again) {
            await inner.settle([{ ...one, token }], call);
          }
        }
        return results;
      },
    }),
};

const neverFreed: Mutant = {
  fault: "ids are never freed",
  found: "an id with a window of 0 is free once its job is done",
  wrap: (inner) => pushing(inner, (job) => job.idWindow === undefined ? job : { ...job, idWindow: 1e9 }),
};

const neverHeld: Mutant = {
  fault: "ids are never held",
  found: "an id is refused while its job is live, wherever it is",
  wrap: (inner) => pushing(inner, unheld),
};

const notHeldAfterDone: Mutant = {
  fault: "an id is held only while its job is live",
  found: "an id is refused within its window when its job is done",
  wrap: (inner) => pushing(inner, (job) => job.idWindow === undefined ? job : { ...job, idWindow: 0 }),
};

const swallowed: Mutant = {
  fault: "the second of two equal ids in a batch is swallowed as stored",
  found: "the second of two equal ids in one batch is refused",
  wrap: (inner) =>
    around(inner, {
      async push(jobs, call) {
        const results = await inner.push(jobs, call);
        return results.map((result, n) =>
          result === "duplicate" && jobs.slice(0, n).some(({ id }) => id === jobs[n]?.id) ? "stored" : result
        );
      },
    }),
};

const notAtomic: Mutant = {
  fault: "an atomic batch is stored as far as it goes",
  found: "an atomic batch is stored whole or not at all",
  wrap: (inner) => around(inner, { push: (jobs, call) => inner.push(jobs, { ...call, atomic: false }) }),
};

const textOnly: Mutant = {
  fault: "payloads pass through text",
  found: "a payload of all 256 bytes survives",
  wrap: (inner) =>
    pushing(inner, (job) => ({ ...job, payload: encoder.encode(decoder.decode(job.payload)) })),
};

const trimmed: Mutant = {
  fault: "queue names are trimmed",
  found: "unusual queue names are names like all others",
  wrap: (inner) => pushing(inner, (job) => ({ ...job, queue: job.queue.trim() })),
};

const mergedTwins: Mutant = {
  fault: "delayed jobs of the same payload are merged",
  found: "the same payload delayed twice is two jobs",
  wrap(inner) {
    const seen = new Set<string>();
    const once = (payload: Uint8Array): boolean => {
      const text = decoder.decode(payload);
      return !seen.has(text) && seen.add(text) !== undefined;
    };
    return around(inner, {
      async push(jobs, call) {
        await inner.push(jobs.filter(({ at, payload }) => at === undefined || once(payload)), call);
        return jobs.map(() => "stored");
      },
    });
  },
};

const payloadDropped: Mutant = {
  fault: "again without a payload stores none",
  found: "again stores the new metadata and keeps id, name and payload",
  wrap: (inner) =>
    settling(inner, (one) => one.to === "again" ? { ...one, payload: one.payload ?? new Uint8Array() } : one),
};

const otherChannel: Mutant = {
  fault: "a flush of one dead channel takes the other too",
  found: "a flush takes one channel of one queue",
  wrap: (inner) =>
    around(inner, {
      async remove(queue, channel, select, call) {
        const other: Channel | undefined = channel === "failed" ? "timeout" : undefined;
        if (other !== undefined) await inner.remove(queue, other, select, call);
        return inner.remove(queue, channel, select, call);
      },
    }),
};

const dueOverlooked: Mutant = {
  fault: "a flush of what waits overlooks what fell due",
  found: "a delayed job whose time came is removed with those that wait, and not with the delayed",
  wrap(inner) {
    const delayed = new Set<string>();
    return around(inner, {
      push(jobs, call) {
        for (const { id, delay = 0 } of jobs) if (delay > 0) delayed.add(id);
        return inner.push(jobs, call);
      },
      async remove(queue, channel, select, call) {
        if (channel !== "waiting" || select !== "all") {
          return await inner.remove(queue, channel, select, call);
        }
        const { entries } = await inner.list(queue, channel, { limit: 1_000, preview: 0 }, call);
        const ids = entries.map(({ id }) => id).filter((id) => !delayed.has(id));
        return await inner.remove(queue, channel, { ids }, call);
      },
    });
  },
};

const otherQueue: Mutant = {
  fault: "a flush takes every queue",
  found: "a flush takes one channel of one queue",
  wrap: (inner) =>
    around(inner, {
      async remove(queue, channel, select, call) {
        for (const other of await inner.queues(call)) {
          if (other !== queue) await inner.remove(other, channel, select, call);
        }
        return inner.remove(queue, channel, select, call);
      },
    }),
};

const resetForgotten: Mutant = {
  fault: "a reload forgets that a full life was asked for",
  found: "a reload for a full life says so until the job is settled again",
  wrap: (inner) =>
    around(inner, {
      reload: (queue, channel, select, call) =>
        inner.reload(queue, channel, select, { ...call, reset: false }),
    }),
};

const noIdsMeansAll: Mutant = {
  fault: "an empty list of ids means all",
  found: "a removal by no ids takes these and no others",
  wrap: (inner) =>
    around(inner, {
      remove: (queue, channel, select, call) =>
        inner.remove(
          queue,
          channel,
          typeof select === "object" && "ids" in select && select.ids.length === 0 ? "all" : select,
          call,
        ),
    }),
};

const copiedBack: Mutant = {
  fault: "a reload does not ask whether the dead job that it has read is still there",
  found: "a dead job that is reloaded and flushed at one moment is one's or the other's",
  wrap: (inner) =>
    around(inner, {
      async reload(queue, channel, _, call) {
        const { entries } = await inner.list(queue, channel, { limit: 1_000, preview: 2 ** 20 }, call);
        await Promise.resolve();
        await inner.push(
          entries.map(({ id, name, payload, meta }) => ({ queue, id, name, payload, meta })),
          call,
        );
        await inner.remove(queue, channel, { ids: entries.map(({ id }) => id) }, call);
        return { reloaded: entries.length, taken: 0 };
      },
    }),
};

const countedTwice: Mutant = {
  fault: "a reload counts what another reload brought back",
  found: "a dead job that two calls reload at one moment is counted by one, and runs once",
  wrap: (inner) =>
    around(inner, {
      async reload(queue, channel, select, call) {
        const { entries } = await inner.list(queue, channel, { limit: 1_000, preview: 0 }, call);
        const { taken } = await inner.reload(queue, channel, select, call);
        return { reloaded: entries.length, taken };
      },
    }),
};

/** Faults of this kind. */
export const STORAGE_MUTANTS: readonly Mutant[] = [
  wholeSeconds,
  roundedUp,
  atLoses,
  promotedBehind,
  pastFirst,
  releasedAnew,
  oneSpoilsAll,
  deadAfterDelete,
  neverFreed,
  neverHeld,
  notHeldAfterDone,
  swallowed,
  notAtomic,
  textOnly,
  trimmed,
  mergedTwins,
  payloadDropped,
  otherChannel,
  dueOverlooked,
  otherQueue,
  resetForgotten,
  noIdsMeansAll,
  copiedBack,
  countedTwice,
];
