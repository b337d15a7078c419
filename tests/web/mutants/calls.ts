/** Faults of waiting, showing and closing. */
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { around, type Mutant, pushing, settling } from "./mutants.ts";

const deaf: Mutant = {
  fault: "a reserve ignores its signal",
  found: "an abort during the wait rejects with the signal's reason",
  wrap: (inner) =>
    around(inner, { reserve: (queues, options) => inner.reserve(queues, { ...options, signal: undefined }) }),
};

const ownReason: Mutant = {
  fault: "an aborted reserve rejects with an error of its own",
  found: "an abort during the wait rejects with the signal's reason",
  wrap: (inner) =>
    around(inner, {
      reserve: (queues, options) =>
        inner.reserve(queues, options).catch((reason: unknown) => {
          throw options.signal?.aborted ? new Error("aborted") : reason;
        }),
    }),
};

const asleep: Mutant = {
  fault: "a reserve that waits hears of no push",
  found: "a push wakes who waits",
  wrap: (inner) =>
    around(inner, {
      async reserve(queues, options) {
        const found = await inner.reserve(queues, { ...options, wait: 0 });
        if (found.length > 0 || options.wait === 0) return found;
        await inner.reserve(["nothing comes here"], options);
        return await inner.reserve(queues, { ...options, wait: 0 });
      },
    }),
};

const impatient: Mutant = {
  fault: "a reserve of an empty queue does not wait",
  found: "a reserve of an empty queue is empty when its wait is over, not before",
  wrap: (inner) =>
    around(inner, { reserve: (queues, options) => inner.reserve(queues, { ...options, wait: 0 }) }),
};

const swallowsOnAbort: Mutant = {
  fault: "an aborted reserve goes on waiting in secret and keeps the next job",
  found: "a job pushed after an aborted reserve goes to the next who asks",
  wrap: (inner) =>
    around(inner, {
      reserve(queues, { signal, ...options }) {
        const hidden = inner.reserve(queues, options);
        if (signal === undefined) return hidden;
        hidden.catch(() => {});
        return new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          hidden.then(resolve, reject);
        });
      },
    }),
};

const holdsOnAbort: Mutant = {
  fault: "an aborted reserve holds the next job until it is asked for",
  found: "a job pushed after an aborted reserve waits, and is removed with all that wait",
  wrap(inner) {
    const held: Delivery[] = [];
    return around(inner, {
      async reserve(queues, { signal, ...options }) {
        const { deadline } = options;
        for (const { queue, token } of held.splice(0)) {
          await inner.settle([{ queue, token, to: "release" }], { deadline });
        }
        const hidden = inner.reserve(queues, options);
        if (signal === undefined) return await hidden;
        return await new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          hidden.then((found) => signal.aborted ? held.push(...found) : resolve(found), reject);
        });
      },
    });
  },
};

const anyOrder: Mutant = {
  fault: "a reserve takes queues by name",
  found: "a reserve of several queues takes from the first named first",
  wrap: (inner) =>
    around(inner, { reserve: (queues, options) => inner.reserve([...queues].sort(), options) }),
};

const limitPerQueue: Mutant = {
  fault: "limit is meant for each queue",
  found: "a reserve of several queues takes from the first named first",
  wrap: (inner) =>
    around(inner, {
      async reserve(queues, options) {
        if (options.wait > 0) return await inner.reserve(queues, options);
        return (await Promise.all(queues.map((queue) => inner.reserve([queue], options)))).flat();
      },
    }),
};

const forgetsReserved: Mutant = {
  fault: "info forgets reserved jobs",
  found: "info is exact at each step of a script, and equals the listings",
  wrap: (inner) =>
    around(inner, { info: async (queue, call) => ({ ...await inner.info(queue, call), reserved: 0 }) }),
};

const oldestFirst: Mutant = {
  fault: "dead jobs are listed oldest first",
  found: "dead jobs are listed newest first",
  wrap: (inner) =>
    around(inner, {
      async list(queue, channel, page, call) {
        const found = await inner.list(queue, channel, page, call);
        return channel === "failed" ? { ...found, entries: found.entries.toReversed() } : found;
      },
    }),
};

const cursorIsOffset: Mutant = {
  fault: "a cursor is a number of entries",
  found: "jobs that die while one reads neither repeat nor hide others",
  wrap: (inner) =>
    around(inner, {
      async list(queue, channel, { limit, cursor = "0", preview }, call) {
        const from = Number(cursor);
        const { entries } = await inner.list(queue, channel, { limit: 1_000, preview }, call);
        const page = entries.slice(from, from + limit);
        return from + limit < entries.length
          ? { entries: page, cursor: `${from + limit}` }
          : { entries: page };
      },
    }),
};

const sizeOfPreview: Mutant = {
  fault: "the size of an entry is that of its preview",
  found: "a preview is cut where asked, and the size is the whole payload's",
  wrap: (inner) =>
    around(inner, {
      async list(queue, channel, page, call) {
        const found = await inner.list(queue, channel, page, call);
        return {
          ...found,
          entries: found.entries.map((entry) => ({ ...entry, size: entry.payload.length })),
        };
      },
    }),
};

const deniesTopics: Mutant = {
  fault: "a reason is given for an ability that is there",
  found: "the transport declares what its subject says",
  wrap: (inner) => around(inner, { lacks: { ...inner.lacks, topics: "there are none" } }),
};

const neverCloses: Mutant = {
  fault: "a closed transport goes on",
  found: "every call after closing rejects with the same error",
  wrap: (inner) => around(inner, { [Symbol.asyncDispose]: () => Promise.resolve() }),
};

const takesAnyDelay: Mutant = {
  fault: "a delay that is no number is taken for none",
  found: "a job that is wrong is refused alone, and its neighbours are stored",
  wrap: (inner) =>
    pushing(inner, (one) => typeof one.delay === "number" && isNaN(one.delay) ? { ...one, delay: 0 } : one),
};

const answersNothing: Mutant = {
  fault: "a reserve of nothing is answered with nothing",
  found: "a reserve that asks for what cannot be is refused",
  wrap: (inner) =>
    around(inner, {
      reserve: (queues, options) =>
        options.limit === 0 ? Promise.resolve([]) : inner.reserve(queues, options),
    }),
};

const settlesAnyhow: Mutant = {
  fault: "an ending that there is not is taken for a release",
  found: "a settlement or extension that is wrong is refused alone, and the job stays held",
  wrap: (inner) =>
    settling(
      inner,
      (one) => ["done", "again", "failed", "timeout"].includes(one.to) ? one : { ...one, to: "release" },
    ),
};

const neverAsks: Mutant = {
  fault: "a waiting reserve does not ask whether it may look again",
  found: "a reserve that waits reclaims nothing before the one who made it is ready",
  wrap: (inner) =>
    around(inner, { reserve: (queues, options) => inner.reserve(queues, { ...options, ready: undefined }) }),
};

/** Faults of this kind. */
export const CALL_MUTANTS: readonly Mutant[] = [
  deaf,
  ownReason,
  asleep,
  impatient,
  swallowsOnAbort,
  holdsOnAbort,
  anyOrder,
  limitPerQueue,
  forgetsReserved,
  oldestFirst,
  cursorIsOffset,
  sizeOfPreview,
  deniesTopics,
  neverCloses,
  takesAnyDelay,
  answersNothing,
  settlesAnyhow,
  neverAsks,
];
