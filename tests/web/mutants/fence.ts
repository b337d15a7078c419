/** Faults of tokens, leases and losses. */
import { CHANNELS } from "../../../src/jobs/job.ts";
import { around, type Mutant, settling, watching } from "./mutants.ts";

/** Leases that a reclaim looks at before it gives up. */
const FIRST_PAGE = 100;

const noFence: Mutant = {
  fault: "no fence: a late settle acts on whoever holds the job now",
  found: "a late 'done' changes nothing while another holds the job",
  wrap(inner) {
    const ids = new Map<string, string>();
    const current = new Map<string, string>();
    const held = <T extends { readonly token: string }>(one: T): T => {
      const token = current.get(ids.get(one.token) ?? "") ?? one.token;
      return { ...one, token };
    };
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        ids.set(delivery.token, delivery.id);
        current.set(delivery.id, delivery.token);
        return delivery;
      }),
      settle: (settlements, call) => inner.settle(settlements.map(held), call),
    });
  },
};

const noExtendFence: Mutant = {
  fault: "no fence: a late extend keeps the lease of whoever holds the job now",
  found: "an extend by a delivery that lost its lease says stale and changes nothing",
  wrap: (inner) =>
    around(inner, { extend: (leases) => Promise.resolve(leases.map(() => ({ state: "held" }))) }),
};

const settleById: Mutant = {
  fault: "settle by id: done removes whatever has the id",
  found: "a late 'done' changes nothing after another buried the job",
  wrap(inner) {
    const ids = new Map<string, string>();
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        ids.set(delivery.token, delivery.id);
        return delivery;
      }),
      async settle(settlements, call) {
        const results = await inner.settle(settlements, call);
        for (const { queue, token, to } of settlements) {
          const id = ids.get(token);
          if (to !== "done" || id === undefined) continue;
          for (const channel of CHANNELS) await inner.remove(queue, channel, { ids: [id] }, call);
        }
        return results;
      },
    });
  },
};

const tokenReused: Mutant = {
  fault: "a release gives its token to the next delivery",
  found: "a token is never given out again",
  wrap(inner) {
    const released = new Map<string, string>();
    const ids = new Map<string, string>();
    const real = new Map<string, string>();
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        const token = released.get(delivery.id) ?? delivery.token;
        released.delete(delivery.id);
        real.set(token, delivery.token);
        ids.set(token, delivery.id);
        return { ...delivery, token };
      }),
      settle(settlements, call) {
        for (const { token, to } of settlements) {
          if (to === "release") released.set(ids.get(token) ?? "", token);
        }
        return inner.settle(
          settlements.map((one) => ({ ...one, token: real.get(one.token) ?? one.token })),
          call,
        );
      },
    });
  },
};

const firstPageOnly: Mutant = {
  fault: "reclaim stops at the first page: busy leases hide lost ones behind it",
  found: "a page of busy leases does not hide a lost one behind it",
  wrap(inner) {
    const held: string[] = [];
    const busy = new Set<string>();
    return around(inner, {
      async reserve(queues, options) {
        const page = held.slice(0, FIRST_PAGE);
        const stuck = page.length === FIRST_PAGE && page.every((token) => busy.has(token));
        const deliveries = await inner.reserve(queues, { ...options, slots: stuck ? 0 : options.slots });
        held.push(...deliveries.map(({ token }) => token));
        return deliveries;
      },
      extend(leases, call) {
        for (const { token } of leases) busy.add(token);
        return inner.extend(leases, call);
      },
    });
  },
};

const lostByRelease: Mutant = {
  fault: "every delivery counts as lost: a release does too",
  found: "a release is no lost lease, however often",
  wrap(inner) {
    const deliveries = new Map<string, number>();
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        const lost = deliveries.get(delivery.id) ?? 0;
        deliveries.set(delivery.id, lost + 1);
        return { ...delivery, lost };
      }),
    });
  },
};

const lostForEver: Mutant = {
  fault: "again keeps the count of lost leases",
  found: "again counts lost leases from 0",
  wrap(inner) {
    const lost = new Map<string, number>();
    return around(inner, {
      reserve: watching(inner, (delivery) => {
        const most = Math.max(delivery.lost, lost.get(delivery.id) ?? 0);
        lost.set(delivery.id, most);
        return { ...delivery, lost: most };
      }),
    });
  },
};

const shortLease: Mutant = {
  fault: "leases are half as long as they were granted",
  found: "a job does not come back before its lease ends",
  wrap: (inner) =>
    around(inner, {
      async reserve(queues, options) {
        const deliveries = await inner.reserve(queues, { ...options, lease: options.lease / 2 });
        return deliveries.map((delivery) => ({ ...delivery, lease: options.lease }));
      },
    }),
};

const extendIgnored: Mutant = {
  fault: "extend says held and does nothing",
  found: "extend moves the end of a lease",
  wrap: (inner) =>
    around(inner, { extend: (leases) => Promise.resolve(leases.map(() => ({ state: "held" }))) }),
};

const slotsIgnored: Mutant = {
  fault: "slots ignored: jobs that came back are handed over without a free slot",
  found: "no slots: nothing that came back from a lost lease",
  wrap: (inner) =>
    around(inner, {
      reserve: (queues, options) => inner.reserve(queues, { ...options, slots: options.limit }),
    }),
};

const releaseWaits: Mutant = {
  fault: "a release waits for the lease to end",
  found: "a release makes the job available at once, as it was",
  wrap: (inner) =>
    around(inner, {
      async settle(settlements, call) {
        const others = settlements.filter(({ to }) => to !== "release");
        const results = [...await inner.settle(others, call)];
        return settlements.map(({ to }) => to === "release" ? "settled" : results.shift() ?? "stale");
      },
    }),
};

const metaRewritten: Mutant = {
  fault: "metadata is parsed and written anew",
  found: "metadata and payload survive again, death, reload and lost leases byte for byte",
  wrap: (inner) => settling(inner, (one) => "meta" in one ? { ...one, meta: one.meta.trim() } : one),
};

/** Faults of this kind. */
export const FENCE_MUTANTS: readonly Mutant[] = [
  noFence,
  noExtendFence,
  settleById,
  tokenReused,
  firstPageOnly,
  lostByRelease,
  lostForEver,
  shortLease,
  extendIgnored,
  slotsIgnored,
  releaseWaits,
  metaRewritten,
];
