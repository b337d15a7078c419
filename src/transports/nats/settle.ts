/**
 * Settle and extend: how deliveries end, and how they are kept.
 *
 * @module
 */

import { errorOf } from "../../errors.ts";
import type { Extended, Extension, Settled, Settlement } from "../../exchange.ts";
import { checkTime } from "../../options.ts";
import type { Bench } from "./bench.ts";
import { AnswerLost, isPlaceGone } from "./errors.ts";
import { type Held, isSafe, surelyUntil, WORKING } from "./held.ts";
import { settleLate, tombOf } from "./late.ts";
import { haveLeft } from "./leaving.ts";
import { ACK, type Move, moveAll, tellAll } from "./moves.ts";
import { DEAD_LETTER, idToken } from "./names.ts";
import { dropNote } from "./notes.ts";
import { lineSubject, tombSubject } from "./publish.ts";
import { checkWhen, whenMarks } from "./push.ts";
import { isFrail, type Marks } from "./wire.ts";

/** A delivery on its way to its end. */
class Ending {
  readonly index: number;
  readonly held: Held;
  /** Where it goes; of one that is done nowhere. */
  readonly move: Move | undefined;

  constructor(index: number, held: Held, move: Move | undefined) {
    this.index = index;
    this.held = held;
    this.move = move;
  }
}

/** Settles deliveries; an answer for each. */
export async function settleAll(
  bench: Bench,
  settlements: readonly Settlement[],
  until: number,
): Promise<Settled[]> {
  const { link, holding } = bench;
  const { runtime } = link.settings;
  let now = runtime.monotonic();
  const currentOf = ({ queue, token }: Settlement): Held | undefined => holding.current(queue, token, now);
  if (!link.up && settlements.some(currentOf)) {
    // By the time that the link is back the lease of one that is current now may be over.
    try {
      await link.ready(until, "settle jobs");
      now = runtime.monotonic();
    } catch (error) {
      now = runtime.monotonic();
      return settlements.map((settlement) => currentOf(settlement) === undefined ? "stale" : errorOf(error));
    }
  }
  const answers: Settled[] = settlements.map(() => "stale");
  const done: Ending[] = [];
  const moved: (Ending & { readonly move: Move })[] = [];
  const late: Ending[] = [];
  let index = -1;
  for (const settlement of settlements) {
    index++;
    const held = currentOf(settlement);
    if (held === undefined) continue;
    try {
      const move = settlement.to === "done" ? undefined : moveOf(bench, held, settlement);
      const ending = new Ending(index, held, move);
      if (held.doubtful || !isSafe(held, now)) late.push(ending);
      else if (move === undefined) done.push(ending);
      else moved.push({ ...ending, move });
      holding.take(held);
    } catch (error) {
      answers[index] = errorOf(error);
    }
  }
  const fill = (endings: readonly Ending[], results: readonly Settled[]): void => {
    let n = 0;
    for (const { index, held: { place, note } } of endings) {
      const answer = answers[index] = results[n++] ?? "stale";
      if (note !== undefined && !(answer instanceof Error)) dropNote(bench, place, note);
    }
  };
  await Promise.all([
    settleDone(bench, done, until).then((results) => fill(done, results)),
    settleMoved(bench, moved, until).then((results) => fill(moved, results)),
    Promise.all(late.map((ending) => settleAgain(bench, ending, until))).then((results) =>
      fill(late, results)
    ),
  ]);
  return answers;
}

async function settleDone(bench: Bench, done: readonly Ending[], until: number): Promise<Settled[]> {
  if (done.length === 0) return [];
  const { link, holding } = bench;
  const held = done.map((ending) => ending.held);
  const failed = await tellAll(link, held, ACK, until, Math.min(...held.map(surelyUntil)));
  const now = link.settings.runtime.monotonic();
  const answers: Settled[] = [];
  const late: Promise<void>[] = [];
  for (const ending of done) {
    const index = answers.length;
    const { place, seq, safe } = ending.held;
    const error = failed[index];
    answers.push(error === undefined ? "settled" : faultOf(error));
    if (error !== undefined) holding.restore(ending.held, tombSubject(place, seq));
    // The server may have heard of it as late as it answered.
    else if (now >= safe) {
      late.push(settleAgain(bench, ending, until).then((is) => void (answers[index] = is)));
    }
  }
  await Promise.all(late);
  await haveLeft(link, held.filter((_, index) => failed[index] === undefined), until);
  return answers;
}

async function settleMoved(
  bench: Bench,
  moved: readonly (Ending & { readonly move: Move })[],
  until: number,
): Promise<Settled[]> {
  if (moved.length === 0) return [];
  const { link, holding } = bench;
  const results = await moveAll(link, moved.map(({ move }) => move), until);
  const now = link.settings.runtime.monotonic();
  return await Promise.all(moved.map((ending, index): Settled | Promise<Settled> => {
    const { held, move } = ending;
    const result = results[index] ?? false;
    if (result instanceof Error) {
      // The answer may be all that was lost; who asks again shall hear what became of it.
      if (isPlaceGone(result)) bench.places.forget(held.place);
      holding.restore(held, move.subject);
      return faultOf(result);
    }
    if (result) return "settled";
    if (held.tried === undefined) return "stale";
    return now < held.safe ? "settled" : settleAgain(bench, ending, until);
  }));
}

/** A link that was lost is one that comes back: who settles again hears what became of it. */
function faultOf(error: unknown): Error {
  return errorOf(error instanceof AnswerLost ? error.cause : error);
}

/** Ends a delivery that may have ended before, with the end that it had then. */
async function settleAgain(bench: Bench, { held, move }: Ending, until: number): Promise<Settled> {
  const again = move === undefined ? tombOf(held) : { ...move, subject: held.tried ?? move.subject };
  let answer: Settled;
  try {
    answer = await settleLate(bench, held, again, until);
  } catch (error) {
    answer = faultOf(error);
  }
  if (answer instanceof Error) bench.holding.restore(held, again.subject);
  return answer;
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
    const frail = isFrail(record) ? { frail: true } : {};
    const delayed = when.delay !== undefined || when.due !== undefined;
    return {
      ...whole,
      subject: lineSubject(place, delayed ? "d" : "w", id),
      payload: ending.payload ?? held.payload,
      record: { ...record, meta: ending.meta, marks: { until: marks.until, ...frail, ...when } },
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
  until: number,
): Promise<Extended[]> {
  const { link, holding } = bench;
  const { runtime } = link.settings;
  if (!link.up) await link.ready(until, "extend leases");
  const sent = runtime.monotonic();
  const told: { readonly index: number; readonly held: Held; readonly ms: number }[] = [];
  const answers = leases.map(({ queue, token, ms }, index): Extended => {
    const held = holding.current(queue, token, sent);
    if (held === undefined || !isSafe(held, sent)) return { state: "stale" };
    try {
      checkTime("extend a lease", "ms", ms);
    } catch (error) {
      return errorOf(error);
    }
    told.push({ index, held, ms });
    return { state: "stale" };
  });
  const failed = await tellAll(link, told.map(({ held }) => held), WORKING, until);
  for (const [n, { index, held, ms }] of told.entries()) {
    const error = failed[n];
    const { ackWait } = held.place;
    if (error === undefined) holding.extended(held, sent, ms);
    answers[index] = error ?? (ms > ackWait ? { state: "held", lease: ackWait } : { state: "held" });
  }
  return answers;
}
