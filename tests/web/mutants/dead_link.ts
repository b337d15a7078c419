/** Faults that show while whatever serves the store is silent. */
import { TransportError } from "../../../src/errors.ts";
import { around, type Mutant } from "./mutants.ts";

/** The link of all subjects, which a case cuts and mends. */
const link = { dead: false };

/** Cuts the link, as a subject's `pause` does. */
export function pause(): Promise<() => Promise<void>> {
  link.dead = true;
  return Promise.resolve(() => {
    link.dead = false;
    return Promise.resolve();
  });
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}

function gone(): TransportError {
  return new TransportError("TRANSPORT_UNAVAILABLE", "Cannot reach the broker");
}

const PUSH = "a push over a dead link ends in time, and its job is stored once when it is repeated";
const RESERVE = "a reserve over a dead link ends in time, and its job is not lost";
const SETTLE = "a settle over a dead link ends in time, and may be repeated";

/** The faults. */
export const DEAD_LINK_MUTANTS: readonly Mutant[] = [
  {
    fault: "a push over a dead link never ends",
    found: PUSH,
    wrap: (inner) => around(inner, { push: (jobs, call) => link.dead ? never() : inner.push(jobs, call) }),
  },
  {
    fault: "a push over a dead link is called stored, and is not",
    found: PUSH,
    wrap: (inner) =>
      around(inner, {
        push: (jobs, call) => link.dead ? Promise.resolve(jobs.map(() => "stored")) : inner.push(jobs, call),
      }),
  },
  {
    fault: "a reserve over a dead link never ends",
    found: RESERVE,
    wrap: (inner) =>
      around(inner, {
        reserve: (queues, options) => link.dead ? never() : inner.reserve(queues, options),
      }),
  },
  {
    fault: "a reserve over a dead link keeps for ever what it was given too late",
    found: RESERVE,
    wrap: (inner) =>
      around(inner, {
        async reserve(queues, options) {
          if (!link.dead) return await inner.reserve(queues, options);
          await inner.reserve(queues, { ...options, lease: 3_600_000 });
          throw gone();
        },
      }),
  },
  {
    fault: "a reserve that waits over a dead link never ends",
    found: "a reserve that waits over a dead link ends in time, and the next job comes",
    wrap: (inner) =>
      around(inner, {
        reserve: (queues, options) => link.dead ? never() : inner.reserve(queues, options),
      }),
  },
  {
    fault: "an extend over a dead link gives up the lease",
    found: "an extend over a dead link ends in time, and may be repeated",
    wrap: (inner) =>
      around(inner, {
        async extend(leases, call) {
          if (!link.dead) return await inner.extend(leases, call);
          await inner.settle(leases.map(({ queue, token }) => ({ queue, token, to: "release" })), call);
          throw gone();
        },
      }),
  },
  {
    fault: "a settle over a dead link rejects with an error that says nothing to programs",
    found: SETTLE,
    wrap: (inner) =>
      around(inner, {
        settle: (settlements, call) =>
          link.dead ? Promise.reject(new Error("socket hang up")) : inner.settle(settlements, call),
      }),
  },
  {
    fault: "a settle over a dead link never ends",
    found: SETTLE,
    wrap: (inner) =>
      around(inner, {
        settle: (settlements, call) => link.dead ? never() : inner.settle(settlements, call),
      }),
  },
  {
    fault: "a look at a queue over a dead link never ends",
    found: "a look at a queue over a dead link ends in time",
    wrap: (inner) => around(inner, { info: (queue, call) => link.dead ? never() : inner.info(queue, call) }),
  },
];
