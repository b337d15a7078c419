/** Faults of transports that diagnose their store. */
import { around, type Mutant } from "./mutants.ts";

export const DIAGNOSE_MUTANTS: readonly Mutant[] = [
  {
    fault: "a diagnosis names a danger and nothing that mends it",
    found: "a diagnosis says of each thing how bad it is, and where it is not well what to do",
    wrap: (inner) =>
      around(inner, {
        diagnose: () =>
          Promise.resolve({ findings: [{ check: "disk", severity: "danger", says: "It is full" }] }),
      }),
  },
  {
    fault: "a diagnosis tries the store out with a job of its own",
    found: "a diagnosis changes nothing, and needs no queue",
    wrap: (inner) =>
      around(inner, {
        async diagnose(call) {
          await inner.push(
            [{ queue: "trial", id: "1", name: "trial", payload: new Uint8Array(), meta: "" }],
            call,
          );
          return await inner.diagnose?.(call) ?? { findings: [] };
        },
      }),
  },
  {
    fault: "a diagnosis tells the caller's own clock as the store's",
    found: "the clock of a diagnosis is the one that judges due times",
    wrap: (inner) =>
      around(inner, {
        diagnose: async (call) => ({ ...await inner.diagnose?.(call), findings: [], clock: 0 }),
      }),
  },
  {
    fault: "a diagnosis does not hear that it is aborted",
    found: "a diagnosis that is aborted rejects with the reason",
    wrap: (inner) =>
      around(inner, {
        diagnose: async ({ deadline }) => await inner.diagnose?.({ deadline }) ?? { findings: [] },
      }),
  },
];
