/**
 * The step before a settlement: the texts of an error in the record are encrypted, where the job's codec encrypts.
 *
 * @module
 */

import { sealersOf, sealMeta } from "../payload/sealing.ts";
import { asStep } from "../flow/trail.ts";
import type { Fate } from "./fate.ts";
import type { Run } from "./run.ts";
import type { State } from "./state.ts";

/** The fate as it may be stored: itself where there is nothing to encrypt. Never rejects. */
export function sealed(state: State, run: Run, fate: Fate): Fate | Promise<Fate> {
  if (!("error" in fate) || !("meta" in fate)) return fate;
  const { bench: { definitions, filtering, trail } } = state;
  const { delivery, safeMeta } = run;
  const filters = sealersOf(definitions, delivery.name, safeMeta.codec);
  if (filters.length === 0) return fate;
  const seal = async (): Promise<Fate> => ({
    ...fate,
    meta: await sealMeta(filtering, filters, fate.meta, delivery, state.sealing.signal),
  });
  const way = state.way ?? trail?.here();
  return way === undefined ? seal() : asStep({ way, steps: state.sealers, changed: state.roused }, seal);
}
