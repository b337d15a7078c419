/** Faults of transports of which one queue cannot be used, or which forget their groups. */
import type { Subject } from "../../../src/testing/mod.ts";
import { type Transport, TransportError } from "../../../mod.ts";
import { around, type Mutant } from "./mutants.ts";

interface Refusing extends Required<Pick<Subject, "spoil" | "lose">> {
  /** A transport of which queues can be spoilt, and whose groups can be forgotten. */
  refuse(inner: Transport): Transport;
}

const REFUSED = "REFUSED";

function refusal(): TransportError {
  return new TransportError("TRANSPORT_INCOMPATIBLE", `${REFUSED}: this queue cannot be used`);
}

/** What spoils queues of a sound transport, and mends them. */
export function refusing(): Refusing {
  const spoilt = new Set<string>();
  let only: Transport | undefined;
  return {
    spoil(_, queue) {
      spoilt.add(queue);
      return Promise.resolve(() => {
        spoilt.delete(queue);
        return Promise.resolve();
      });
    },
    async lose() {
      for (const group of await only?.topics?.groups("orders", { deadline: 1_000 }) ?? []) {
        await only?.topics?.unbind("orders", group, { deadline: 1_000 });
      }
    },
    refuse(inner) {
      only = inner;
      return around(inner, {
        reserve: (queues, options) =>
          spoilt.size > 0 && queues.some((queue) => spoilt.has(queue))
            ? Promise.reject(refusal())
            : inner.reserve(queues, options),
      });
    },
  };
}

/** The queues of a reserve that are not spoilt: each is looked at by itself. */
async function sound(
  inner: Transport,
  queues: readonly string[],
  call: { deadline: number },
): Promise<string[]> {
  const found: string[] = [];
  for (const queue of queues) {
    const look = { limit: 1, slots: 0, lease: 1, wait: 0, ...call };
    await inner.reserve([queue], look).then(async (taken) => {
      await inner.settle(taken.map(({ token }) => ({ queue, token, to: "release" as const })), call);
      found.push(queue);
    }, () => undefined);
  }
  return found;
}

const passedOver: Mutant = {
  fault: "a queue that cannot be used is passed over, and nobody hears of it",
  found: "a queue that cannot be used makes a reserve reject, and takes no job of the others along",
  wrap: (inner) =>
    around(inner, {
      async reserve(queues, options) {
        const fit = await sound(inner, queues, { deadline: options.deadline });
        return fit.length === 0 ? [] : await inner.reserve(fit, options);
      },
    }),
};

const takenAlong: Mutant = {
  fault: "a reserve that rejects keeps what it took from the other queues",
  found: "a queue that cannot be used makes a reserve reject, and takes no job of the others along",
  wrap: (inner) =>
    around(inner, {
      async reserve(queues, options) {
        for (const queue of queues.slice(0, -1)) await inner.reserve([queue], { ...options, wait: 0 });
        return await inner.reserve(queues, options);
      },
    }),
};

const mute: Mutant = {
  fault: "a store that forgot its groups says that they are there",
  found: "a group that the store forgot is bound again under a running worker",
  wrap: (inner) =>
    around(inner, {
      ...(inner.topics === undefined ? {} : {
        topics: { ...inner.topics, groups: () => Promise.resolve(["a", "b", "c"]) },
      }),
    }),
};

export const TROUBLE_MUTANTS: readonly Mutant[] = [passedOver, takenAlong, mute];
