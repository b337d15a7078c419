import { expect, test } from "vitest";
import type { Schedules } from "../../../src/contract/recurring.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { wrapped } from "../support/kit.ts";
import { playSchedules } from "./schedule_world.ts";

/** Fewer in workerd, where a turn of the event loop takes ten times as long. */
const SEEDS = globalThis.navigator?.userAgent === "Cloudflare-Workers" ? 20 : 80;
const GROUP = 20;
/** Seeds that a planted fault has to be found by. */
const ENOUGH = 40;

for (let from = 1; from <= SEEDS; from += GROUP) {
  test(`S12: schedules keep their promises in seeds ${from} to ${from + GROUP - 1}`, async () => {
    for (let seed = from; seed < from + GROUP; seed++) {
      expect(await playSchedules(seed), `seed ${seed}`).toEqual([]);
    }
  });
}

function scheduling(inner: Transport, part: (schedules: Schedules) => Partial<Schedules>): Transport {
  const { schedules } = inner;
  if (schedules === undefined) throw new TypeError("A fault of schedules needs a transport that has them");
  return wrapped(inner, () => ({ schedules: { ...schedules, ...part(schedules) } }));
}

/** Faults, each with the rule that must find it. */
const PLANTED: readonly (readonly [fault: string, rule: string, wrap: (inner: Transport) => Transport])[] = [
  [
    "a tick that another has moved on is pushed all the same",
    "twice",
    (inner) =>
      scheduling(inner, ({ advance }) => ({
        async advance(queue, key, tick, next, job, call) {
          const answer = await advance(queue, key, tick, next, job, call);
          if (answer === "stale" && job !== undefined) await inner.push([job], call);
          return answer;
        },
      })),
  ],
  [
    "a tick is moved back when the clock steps back",
    "twice",
    (inner) =>
      scheduling(inner, ({ due, put, get }) => ({
        async due(queues, limit, call) {
          const found = await due(queues, limit, call);
          const first = await get("default", "k0", call);
          if (first !== undefined && first.tick - found.now > 10_000 && !first.paused) {
            await put({
              ...first,
              tick: first.tick - 2_000 * Math.floor((first.tick - found.now) / 2_000),
              text: `${first.text} `,
            }, call);
          }
          return await due(queues, limit, call);
        },
      })),
  ],
  ["a schedule moves on over a tick", "skipped", (inner) => {
    let count = 0;
    return scheduling(inner, ({ advance }) => ({
      advance: (queue, key, tick, next, job, call) =>
        advance(
          queue,
          key,
          tick,
          next !== undefined && ++count % 7 === 0 ? next + (next - tick) : next,
          job,
          call,
        ),
    }));
  }],
  [
    "a schedule moves on by the clock and not by its slot",
    "grid",
    (inner) =>
      scheduling(inner, ({ advance }) => ({
        advance: (queue, key, tick, next, job, call) =>
          advance(queue, key, tick, next === undefined ? next : next + 1, job, call),
      })),
  ],
  [
    "a tick is judged by when it was due, so that a missed one is pushed under 'skip'",
    "late",
    (inner) =>
      scheduling(inner, ({ due }) => ({
        async due(...rest) {
          const found = await due(...rest);
          return { ...found, now: Math.min(found.now, ...found.schedules.map(({ tick }) => tick)) };
        },
      })),
  ],
  [
    "a paused schedule goes on",
    "paused",
    (inner) => scheduling(inner, () => ({ pause: () => Promise.resolve(true) })),
  ],
  [
    "what is due is never told",
    "liveness",
    (inner) =>
      scheduling(
        inner,
        ({ due }) => ({ due: async (...rest) => ({ ...await due(...rest), schedules: [] }) }),
      ),
  ],
];

for (const [fault, rule, wrap] of PLANTED) {
  test(`some seed finds by '${rule}': ${fault}`, async () => {
    for (let seed = 1; seed <= ENOUGH; seed++) {
      const wrong = await playSchedules(seed, wrap);
      if (wrong.some((line) => line.startsWith(`${rule}:`))) return;
    }
    expect.fail(`none of ${ENOUGH} seeds found it`);
  });
}
