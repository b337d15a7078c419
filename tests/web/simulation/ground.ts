/** What a world stands on: one clock, one die, one store, and one list of what happened. */
import { usersOf } from "../../../src/flow/users.ts";
import { type AnyMiddleware, memory, type Transport } from "../../../mod.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { around, watching } from "../mutants/mutants.ts";
import type { Weather } from "./flaky.ts";
import type { Written } from "./recorder.ts";
import { GROUPS, type Mood } from "./tasks.ts";

/** What a world is like. */
export interface Climate {
  readonly workers: number;
  /** The part of calls that something happens to. */
  readonly trouble: number;
  /** Whether workers are killed. */
  readonly kills: boolean;
  /** The part of steps at which the transport goes out for a worker or for all, or comes back. */
  readonly cuts: number;
  /** One worker, one handler at a time: jobs begin in the order of their dispatch. */
  readonly ordered: boolean;
  /** Payloads pass a filter that takes its time. */
  readonly filters: boolean;
  /** Runs and dispatches pass middlewares. */
  readonly middlewares: boolean;
  /** What stands around those, and around each run. */
  readonly use?: readonly AnyMiddleware[];
  /** Handlers fail at once: what is late is late for its filters. */
  readonly instant?: boolean;
  /** What is put between each relay and what writes down its pushes. */
  readonly plant?: (inner: Transport) => Transport;
  /** What is put around the memory transport. */
  readonly wrap?: (inner: Transport) => Transport;
}

export interface Ground {
  readonly climate: Climate;
  readonly runtime: FakeRuntime;
  /** The die: everything is drawn from it, so that a seed is a history. */
  readonly random: () => number;
  /** A number from 0 up to but not `below`. */
  readonly draw: (below: number) => number;
  readonly weather: Weather;
  readonly mood: Mood;
  readonly store: Transport;
  readonly written: Written[];
  /** What is wrong and no line of the history. */
  readonly faults: string[];
  readonly write: (lines: readonly Written[]) => void;
  readonly now: () => number;
  /** When the lease of a delivery ends, as the store itself granted it. */
  readonly leaseEnd: (token: string) => number | undefined;
}

export async function createGround(seed: number, climate: Climate): Promise<Ground> {
  const runtime = createFakeRuntime({ seed });
  const random = createRandom(seed * 7_919 + 1);
  const granted = new Map<string, number>();
  const written: Written[] = [];
  const now = (): number => runtime.monotonic();
  const inner = memory({ runtime });
  for (const group of GROUPS) await inner.topics?.bind("t", group, { deadline: 1_000 });
  const wrapped = climate.wrap?.(inner) ?? inner;
  const store = around(wrapped, {
    reserve: watching(wrapped, (delivery) => {
      granted.set(delivery.token, now() + delivery.lease);
      return delivery;
    }),
  });
  // A relay that is closed must not take the store away from the others.
  usersOf(store).add({});
  return {
    climate,
    runtime,
    random,
    draw: (below) => Math.floor(random() * below),
    weather: { trouble: climate.trouble, out: false },
    mood: { calm: false },
    store,
    written,
    faults: [],
    write: (lines) => void written.push(...lines),
    now,
    leaseEnd: (token) => granted.get(token),
  };
}
