/**
 * Jobs that the server has given up. Where an operator's consumer has a `max_deliver`, a message that used its
 * deliveries up without an end is handed over no more, though it lies in its line: it is sent on to those that came
 * back, one loss more in its record if somebody had it, under the message id of its one successor, so that it matters not
 * how many do so.
 *
 * The server says which it gave up, once, to whoever listens. Whoever did not hear it must find out: no server tells
 * which messages of a line are out for delivery, only how many. So of those that were handed over and are there still,
 * as many as are more than that number were given up; and they are known once no others are left of an earlier look, as
 * what runs ends some time. While hundreds run and end elsewhere from one moment to the next this tells nothing: then it
 * is the server's word, or waiting until there are fewer.
 *
 * @module
 */

import { hush } from "../../promises.ts";
import type { Bench, Stranded } from "./bench.ts";
import { ADVISORY } from "./link.ts";
import { ANYWHERE, arrivedOf, memoryOf } from "./followed.ts";
import { stateOf } from "./lines.ts";
import { endInStead, successorOf } from "./moves.ts";
import type { Line } from "./names.ts";
import { dropNote, lossOf } from "./notes.ts";
import type { Place } from "./place.ts";
import { lineSubject, published } from "./publish.ts";
import { deleteMessage, each, scan, storedAt } from "./read.ts";
import { dueOf } from "./ripen.ts";
import type { Stored } from "./wire.ts";

const MAX_DELIVERIES = `${ADVISORY}CONSUMER.MAX_DELIVERIES.`;
/** Milliseconds that sending one on may take. */
const MOVE = 10_000;
/** Milliseconds until a message that was acknowledged is out of its stream. */
const LEAVING = 250;
/** Milliseconds between two glances. */
const GLANCE = 1_000;
/** Messages of a line that one look takes in, oldest first. */
const MOST = 20_000;

/** Makes what looks after them. */
export function createStranded(bench: () => Bench): Stranded {
  /** What the last look found and this process did not hold, by stream and line. */
  const suspects = new Map<string, ReadonlySet<number>>();
  const looking = new Map<Place, Promise<{ sent: number; left: number }>>();
  const glanced = new Map<Place, number>();

  async function heard(place: Place, line: Line, data: Uint8Array): Promise<void> {
    const { stream_seq: seq }: { readonly stream_seq?: unknown } = JSON.parse(new TextDecoder().decode(data));
    if (typeof seq !== "number") return;
    const until = bench().link.settings.runtime.monotonic() + MOVE;
    const message = await storedAt(bench(), place, { seq }, until);
    if (message?.subject.startsWith(`${place.base}${line}.`)) {
      await send(bench(), place, line, message, until);
    }
  }

  /** Sends on those of one line of which it is sure; how many, and how many are left. */
  async function look(place: Place, line: Line, until: number): Promise<{ sent: number; left: number }> {
    const key = `${place.stream}.${line}`;
    const earlier = suspects.get(key);
    const first = await overdue(bench(), place, line, until);
    suspects.set(key, numbersOf(first.others));
    if (first.many <= 0) return { sent: 0, left: 0 };
    // What was just acknowledged may be in the stream for a moment: it must be so twice.
    await bench().link.leaders.rest(LEAVING);
    const again = await overdue(bench(), place, line, until);
    const before = numbersOf(sureOf(first, earlier));
    const known = new Set([...suspects.get(key) ?? []].filter((seq) => earlier?.has(seq) ?? true));
    const sure = sureOf(again, known).filter(({ seq }) => before.has(seq));
    await each(sure, (message) => send(bench(), place, line, message, until));
    return { sent: sure.length, left: Math.max(0, again.many - sure.length) };
  }

  async function lookAt(place: Place, until: number): Promise<{ sent: number; left: number }> {
    const results = await Promise.all(place.limited.map((line) => look(place, line, until)));
    return results.reduce(
      (sum, { sent, left }) => ({ sent: sum.sent + sent, left: sum.left + left }),
      { sent: 0, left: 0 },
    );
  }

  /** Those who look at once share the look. */
  function rescue(place: Place, until: number): Promise<{ sent: number; left: number }> {
    let look = looking.get(place);
    if (look === undefined) {
      look = lookAt(place, until).finally(() => looking.delete(place));
      looking.set(place, look);
    }
    return look;
  }

  return {
    listen(place) {
      for (const line of place.limited) {
        bench().link.overhear(`${MAX_DELIVERIES}${place.stream}.${place.consumers[line]}`, ({ data }) => {
          // What fails here is found by the next look.
          hush(heard(place, line, data));
        });
      }
    },
    rescue,
    async glance(place, until) {
      const now = bench().link.settings.runtime.monotonic();
      if (now < (glanced.get(place) ?? -Infinity) + GLANCE) return;
      glanced.set(place, now);
      await rescue(place, until);
    },
  };
}

/** What was handed over of a line, is there still, and may have been given up. */
interface Overdue {
  /** Those that this process does not hold. */
  readonly others: readonly Stored[];
  /** How many were given up at least. */
  readonly many: number;
}

async function overdue(bench: Bench, place: Place, line: Line, until: number): Promise<Overdue> {
  // Asked for the number first, what ends meanwhile makes those that are left over fewer, never more.
  const { delivered, num_ack_pending: out } = await stateOf(bench, place, line, until);
  const found = await scan(bench, place, line, 1, delivered.stream_seq, () => true, MOST, until);
  const now = bench.link.settings.runtime.monotonic();
  const others = found.filter(({ seq }) => (bench.holding.of(place, seq)?.safe ?? -Infinity) <= now);
  return { others, many: found.length - out };
}

/** Those that must have been given up: all, or all that were there earlier, are no more than there must be. */
function sureOf({ others, many }: Overdue, earlier: ReadonlySet<number> | undefined): readonly Stored[] {
  if (others.length <= many) return others;
  const old = others.filter(({ seq }) => earlier?.has(seq) === true);
  return old.length <= many ? old : [];
}

function numbersOf(messages: readonly Stored[]): ReadonlySet<number> {
  return new Set(messages.map(({ seq }) => seq));
}

/** Sends one on. */
async function send(bench: Bench, place: Place, line: Line, message: Stored, until: number): Promise<void> {
  const { id, name, meta, marks, payload, seq, time } = message;
  const once = successorOf(seq);
  const isOld = bench.clock.now() > time + memoryOf(place);
  const isMoved = isOld && (await arrivedOf(bench, place, [{ id, once }], ANYWHERE, until)).size > 0;
  const { lost, note } = await lossOf(bench, { place, seq, record: message }, until);
  const changed = { ...marks, due: dueOf({ record: message, time }), lost };
  if (!isMoved) {
    const record = { id, name, meta, marks: changed };
    await published(
      bench.link,
      { place, subject: lineSubject(place, "b", id), payload, record, once },
      until,
    );
  }
  bench.holding.lose(place, seq);
  endInStead(bench.link, place, line, seq);
  await deleteMessage(bench, place, seq, until);
  dropNote(bench, place, note);
}
