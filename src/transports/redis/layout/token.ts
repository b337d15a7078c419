/**
 * Tokens: all that the scripts need to tell a delivery from others, in one text.
 *
 * @module
 */

/**
 * Where the entry and the id of a delivery are: in the waiting stream and in the index of ids or none; in the stream of
 * delayed jobs; in the waiting stream and covered by a range of ids.
 */
export type Kind = "listed" | "late" | "covered";

/** A delivery, as its token says. */
export interface Held {
  /** Its entry in the stream. */
  readonly entry: string;
  /** The two parts of its number, which only sort: they may have more digits than are exact. */
  readonly ms: number;
  readonly seq: number;
  readonly kind: Kind;
  /** The count of its entry's deliveries, this one included. */
  readonly count: number;
  /** The consumer that it was handed to; see {@linkcode consumerOf}. */
  readonly consumer: string;
  /** Milliseconds of that lease. */
  readonly lease: number;
  /** The id to remove from the index of ids when the job is done; empty where the index does not have it. */
  readonly id: string;
  /** Of an entry of kind `covered`, its number among those that were read afresh; -1 where it has none. */
  readonly rank: number;
}

/** The unit behind a lease in a consumer's name. */
const UNIT = "ms";

/**
 * Names a consumer: its instance, a dot, the lease in milliseconds, and the unit, without which `worker.1` of another
 * program would count as ours, with a lease of a millisecond.
 */
export function consumerOf(instance: string, lease: number): string {
  return `${instance}.${lease}${UNIT}`;
}

/** The letters before the number of an entry of another kind than `listed`. */
const LATE = "d";
const COVERED = "r";

/** Writes an entry's number for a token. */
export function placeIn(entry: string, kind: Kind): string {
  if (kind === "listed") return entry;
  return kind === "late" ? LATE + entry : COVERED + entry;
}

function kindIn(token: string): Kind {
  if (token.startsWith(LATE)) return "late";
  return token.startsWith(COVERED) ? "covered" : "listed";
}

/**
 * The middle of a token, which deliveries that come together have in common. In front of it stands the entry's place,
 * behind it an id or a rank; neither entries nor consumers have spaces in them, and a queue's name has no line end.
 */
export function middleOf(count: number, consumer: string, queue: string): string {
  return ` ${count} ${consumer} ${queue}\n`;
}

/** Reads a token; undefined for a text that is none, or that is another queue's. */
export type TokenReader = (token: string, queue: string) => Held | undefined;

/**
 * Makes a reader of tokens, which reads once the part that those of a batch have in common: all between their entry and
 * their end.
 */
export function createTokenReader(): TokenReader {
  let middle = "";
  let known: Middle | undefined;
  return (token, queue) => {
    const first = token.indexOf(" ");
    if (first < 0) return undefined;
    if (known?.queue !== queue || !token.startsWith(middle, first)) {
      known = middleIn(token, first, queue);
      if (known === undefined) return undefined;
      middle = token.slice(first, known.end);
    }
    const kind = kindIn(token);
    const start = kind === "listed" ? 0 : 1;
    const dash = token.indexOf("-", start);
    const ms = numberIn(token, start, dash, ENTRY);
    const seq = numberIn(token, dash + 1, first, ENTRY);
    if (ms < 0 || seq < 0) return undefined;
    const { count, consumer, lease } = known;
    const entry = token.slice(start, first);
    const end = first + middle.length;
    const covered = kind === "covered";
    const rank = covered ? numberIn(token, end, token.length) : -1;
    return { entry, ms, seq, kind, count, consumer, lease, id: covered ? "" : token.slice(end), rank };
  };
}

/** The part of a token between the entry and the id, and where it ends. */
interface Middle extends Pick<Held, "count" | "consumer" | "lease"> {
  readonly queue: string;
  readonly end: number;
}

function middleIn(token: string, first: number, queue: string): Middle | undefined {
  const second = token.indexOf(" ", first + 1);
  const third = token.indexOf(" ", second + 1);
  const end = third + 1 + queue.length;
  if (second < 0 || third < 0 || !token.startsWith(queue, third + 1) || token[end] !== "\n") return undefined;
  const count = numberIn(token, first + 1, second);
  const consumer = token.slice(second + 1, third);
  const lease = numberIn(consumer, consumer.lastIndexOf(".") + 1, consumer.length - UNIT.length);
  if (count < 1 || lease < 1 || consumer.indexOf(".") < 1 || !consumer.endsWith(UNIT)) return undefined;
  return { queue, count, consumer, lease, end: end + 1 };
}

/** The number of so many digits at most between two positions, and nothing else; -1 where there is none. */
function numberIn(text: string, from: number, to: number, digits = EXACT): number {
  if (to <= from || to - from > digits) return -1;
  let number = 0;
  for (let n = from; n < to; n++) {
    const digit = text.charCodeAt(n) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

/** Digits of a number that is exact. */
const EXACT = 15;
/** Digits of either part of an entry's number, which has 64 bits: other programs may count in nanoseconds. */
const ENTRY = 20;
