/** Plays a seed: which world it is, how long it goes on, and which promises its history breaks. */
import { checkHistory, type HistoryLine } from "../../../src/testing/mod.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import type { Climate } from "./ground.ts";
import { createWorld } from "./world.ts";

/** Steps of one world, before it calms down and drains. */
const STEPS = 200;
/** Milliseconds by which two readings of the one clock may differ: it rounds. */
const SLACK = 1;

export interface Played {
  /** What was broken, as text; empty when all is well. */
  readonly broken: readonly string[];
  readonly history: readonly HistoryLine[];
}

/** Plays a seed, with another climate where the caller wants one. */
export async function play(
  seed: number,
  wrap?: (inner: Transport) => Transport,
  more: Partial<Climate> = {},
): Promise<Played> {
  const ordered = seed % 10 === 0;
  const world = await createWorld(seed, {
    workers: ordered ? 1 : 1 + seed % 4,
    trouble: seed % 3 === 0 || seed % 4 === 2 || ordered ? 0 : 0.15,
    kills: seed % 2 === 1,
    cuts: ordered ? 0 : seed % 4 === 2 ? 0.2 : seed % 4 === 1 ? 0.03 : 0,
    ordered,
    filters: seed % 5 === 0,
    middlewares: seed % 3 === 1,
    ...(wrap === undefined ? {} : { wrap }),
    ...more,
  });
  for (let n = 0; n < STEPS; n++) await world.step();
  const { history, drained, faults } = await world.end();
  const broken = checkHistory(history, { slack: SLACK }).map(({ invariant, at, message }) =>
    `${invariant} at ${at}: ${message}`
  );
  return {
    broken: [...(drained ? [] : ["liveness: not everything drained"]), ...faults, ...broken],
    history,
  };
}
