/**
 * Settle and extend: how deliveries end, and how they are kept.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Call, Extended, Extension, Settled, Settlement } from "../../exchange.ts";
import { checkTime } from "../../options.ts";
import type { Bench } from "./bench.ts";
import { isPlaceGone } from "./errors.ts";
import { surelyUntil, WORKING } from "./held.ts";
import type { Held } from "./place.ts";
import { DEAD_LETTER, idToken } from "./names.ts";
import { ACK, type Move, moveAll, tellAll } from "./moves.ts";
import { lineSubject } from "./publish.ts";
import { checkWhen, whenMarks } from "./push.ts";
import type { Marks } from "./wire.ts";

/** Settles deliveries; an answer for each. */
export async function settleAll(
  bench: Bench,
  settlements: readonly Settlement[],
  { deadline }: Call,
): Promise<Settled[]> {
  const { link, holding } = bench;
  const until = link.settings.runtime.monotonic() + deadline;
  const answers: Settled[] = settlements.map(() => "stale");
  const done: { readonly index: number; readonly held: Held }[] = [];
  const moved: { readonly index: number; readonly held: Held; readonly move: Move }[] = [];
  for (const [index, settlement] of settlements.entries()) {
    const held = holding.current(settlement.queue, settlement.token);
    if (held === undefined) continue;
    try {
      if (settlement.to === "done") done.push({ index, held });
      else moved.push({ index, held, move: moveOf(bench, held, settlement) });
      holding.take(held);
    } catch (error) {
      answers[index] = errorOf(error);
    }
  }
  await Promise.all([
    settleDone(bench, done.map(({ held }) => held), until).then((results) => {
      for (const [n, { index }] of done.entries()) answers[index] = results[n] ?? "stale";
    }),
    settleMoved(bench, moved, until).then((results) => {
      for (const [n, { index }] of moved.entries()) answers[index] = results[n] ?? "stale";
    }),
  ]);
  return answers;
}

async function settleDone(bench: Bench, held: readonly Held[], until: number): Promise<Settled[]> {
  if (held.length === 0) return [];
  const { link, holding } = bench;
  try {
    if (!link.up) await link.ready(until, "settle jobs");
  } catch (error) {
    for (const one of held) holding.restore(one);
    return held.map(() => errorOf(error));
  }
  const failed = await tellAll(link, held, ACK, until, Math.min(...held.map(surelyUntil)));
  return held.map((one, index) => {
    const error = failed[index];
    if (error === undefined) return "settled";
    holding.restore(one);
    return error;
  });
}

async function settleMoved(
  bench: Bench,
  moved: readonly { readonly held: Held; readonly move: Move }[],
  until: number,
): Promise<Settled[]> {
  if (moved.length === 0) return [];
  try {
    if (!bench.link.up) await bench.link.ready(until, "settle jobs");
  } catch (error) {
    for (const { held } of moved) bench.holding.restore(held);
    return moved.map(() => errorOf(error));
  }
  const results = await moveAll(bench.link, moved.map(({ move }) => move), until);
  return results.map((result, index): Settled => {
    const held = moved[index]?.held;
    if (result instanceof Error) {
      if (held === undefined) return result;
      // The answer may be all that was lost; who asks again shall hear what became of it.
      if (isPlaceGone(result)) bench.places.forget(held.place);
      held.tried = true;
      bench.holding.restore(held);
      return result;
    }
    return result || held?.tried === true ? "settled" : "stale";
  });
}

type Moving =
  | Exclude<Settlement, { readonly to: "done" | "release" }>
  | (Settlement & { readonly to: "release" });

/** Where a delivery goes that is not done. */
function moveOf(bench: Bench, held: Held, settlement: Settlement): Move {
  const { place, line, record, seq, reply, due } = held;
  const { marks, id } = record;
  const ending = settlement as Moving;
  const whole = { place, line, seq, reply };
  if (ending.to === "release") {
    const kept: Marks = { ...marks, due, delay: undefined };
    return {
      ...whole,
      subject: lineSubject(place, "b", id),
      payload: held.payload,
      record: { ...record, marks: kept },
    };
  }
  if (ending.to === "again") {
    checkWhen("settle a job", ending);
    const when = whenMarks(bench, ending);
    const delayed = when.delay !== undefined || when.due !== undefined;
    return {
      ...whole,
      subject: lineSubject(place, delayed ? "d" : "w", id),
      payload: ending.payload ?? held.payload,
      record: { ...record, meta: ending.meta, marks: { until: marks.until, ...when } },
    };
  }
  const died = bench.deaths.next(bench.clock.now());
  return {
    ...whole,
    subject: `${place.base}${DEAD_LETTER[ending.to]}.${idToken(id)}.${died.stamp}`,
    payload: held.payload,
    record: {
      ...record,
      meta: ending.meta,
      marks: { until: marks.until, lost: marks.lost, reason: ending.reason, died: died.time },
    },
  };
}

/** Moves the ends of leases; an answer for each. */
export async function extendAll(
  bench: Bench,
  leases: readonly Extension[],
  { deadline }: Call,
): Promise<Extended[]> {
  const { link, holding } = bench;
  const { runtime } = link.settings;
  const until = runtime.monotonic() + deadline;
  if (!link.up) await link.ready(until, "extend leases");
  const now = runtime.monotonic();
  const told: { readonly index: number; readonly held: Held; readonly ms: number }[] = [];
  const answers = leases.map((lease, index): Extended => {
    const held = holding.current(lease.queue, lease.token);
    if (held === undefined) return { state: "stale" };
    try {
      checkTime("extend a lease", "ms", lease.ms);
    } catch (error) {
      return errorOf(error);
    }
    told.push({ index, held, ms: lease.ms });
    return { state: "held" };
  });
  const failed = await tellAll(link, told.map(({ held }) => held), WORKING, until);
  for (const [n, { index, held, ms }] of told.entries()) {
    const error = failed[n];
    if (error !== undefined) answers[index] = error;
    else holding.extended(held, now, ms);
  }
  return answers;
}
