/**
 * What the consumers of a queue's lines say of themselves. Where a stream has copies each consumer is led by one of their
 * servers, which knows what its own copy has, and that may lag behind the stream's.
 *
 * @module
 */

import type { Bench } from "./bench.ts";
import type { Line } from "./names.ts";
import type { Place } from "./place.ts";
import { nextOf } from "./read.ts";
import type { Stored } from "./wire.ts";

/** What a consumer says of itself. */
export interface ConsumerState {
  readonly delivered: { readonly stream_seq: number };
  readonly num_ack_pending: number;
  readonly num_pending: number;
  /** Of a consumer with copies who leads it. */
  readonly cluster?: { readonly leader?: string };
}

/** A stream, as far as its copies go. */
interface Copies {
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly {
      readonly name: string;
      readonly current: boolean;
      readonly lag?: number;
    }[];
  };
}

/** The lines of a queue, as counts and listings go through them. */
export const LINES: readonly Line[] = ["w", "b", "d"];

/** Milliseconds after which a consumer has heard of what its stream has stored. */
export const HEARD_OF = 20;
/**
 * Milliseconds for which a copy that lags behind is waited for at most. One that was begun a moment later than the others
 * hears of what it missed with the next message, or a second or two later.
 */
export const LAG = 5_000;
/** Milliseconds between two looks at it at most. */
const PAUSE_MAX = 160;

/** What a consumer says of itself. */
export async function stateOf(
  { link }: Bench,
  place: Place,
  line: Line,
  until: number,
): Promise<ConsumerState> {
  for (;;) {
    const state = await link.api<ConsumerState>(
      `CONSUMER.INFO.${place.stream}.${place.consumers[line]}`,
      undefined,
      until,
    );
    // A server that is about to keep a copy answers, too, and knows nothing; so it does not name who leads.
    if (place.replicas === 1 || state.cluster?.leader) return state;
    await link.leaders.rest(HEARD_OF);
  }
}

/** The first message of a line that its consumer has not handed over, as whoever leads the stream knows it. */
export function nextIn(
  bench: Bench,
  place: Place,
  line: Line,
  { delivered }: ConsumerState,
  until: number,
): Promise<Stored | undefined> {
  return nextOf(bench, place, `${place.base}${line}.>`, delivered.stream_seq + 1, until);
}

/** What the consumers say once they know all that the stream had when this was asked, in the order of `LINES`. */
export async function statesOf(
  bench: Bench,
  place: Place,
  until: number,
): Promise<readonly ConsumerState[]> {
  const { runtime } = bench.link.settings;
  const late = Math.min(until, runtime.monotonic() + LAG);
  for (let pause = HEARD_OF;; pause = longer(pause)) {
    const lagging = place.replicas === 1 ? undefined : await laggards(bench, place, until);
    const states = await Promise.all(LINES.map((line) => stateOf(bench, place, line, until)));
    if (lagging === undefined || runtime.monotonic() >= late) return states;
    const unheard = await Promise.all(states.map(async (state, n) => {
      const line = LINES[n];
      if (lagging.has(state.cluster?.leader ?? "")) return true;
      if (line === undefined || state.num_pending > 0) return false;
      return await nextIn(bench, place, line, state, until) !== undefined;
    }));
    if (!unheard.includes(true)) return states;
    await bench.link.leaders.rest(pause);
  }
}

/** The pause behind a pause, while a copy lags behind. */
export function longer(pause: number): number {
  return Math.min(PAUSE_MAX, 2 * pause);
}

/** The servers whose copy lacks something that the leader's has. */
async function laggards({ link }: Bench, { stream }: Place, until: number): Promise<ReadonlySet<string>> {
  const { cluster } = await link.api<Copies>(`STREAM.INFO.${stream}`, undefined, until);
  const behind = (cluster?.replicas ?? []).filter(({ current, lag = 0 }) => !current || lag > 0);
  return new Set(behind.map(({ name }) => name));
}
