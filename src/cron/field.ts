/**
 * One field of a cron expression: a list of values, ranges and steps, as the numbers that it means.
 *
 * @module
 */

/** The values of a field. */
export interface FieldKind {
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Words for numbers, the first for `least`. */
  readonly words?: readonly string[];
  /** Whether it names days: `?` means any. */
  readonly days?: boolean;
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** The five fields, in order. */
export const FIELDS: readonly FieldKind[] = [
  { name: "minute", least: 0, most: 59 },
  { name: "hour", least: 0, most: 23 },
  { name: "day of the month", least: 1, most: 31, days: true },
  { name: "month", least: 1, most: 12, words: MONTHS },
  { name: "day of the week", least: 0, most: 7, words: DAYS, days: true },
];

/** Days of a week; the seventh is the first again. */
const WEEK = 7;

/**
 * A field in the plainest form that means the same: `*`, or numbers with commas between them.
 *
 * @throws {RangeError} that says the fault, to be completed with the expression.
 */
export function plainField(text: string, kind: FieldKind): string {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const range = rangeOf(part, kind);
    // A star among others means all of them; only then are days left to the other field.
    if (range === undefined) return "*";
    for (let value = range.from; value <= range.to; value += range.step) {
      numbers.add(kind.most === WEEK ? value % WEEK : value);
    }
  }
  return [...numbers].sort((a, b) => a - b).join(",");
}

/** The values of a part, or undefined for all. */
function rangeOf(
  part: string,
  kind: FieldKind,
): { readonly from: number; readonly to: number; readonly step: number } | undefined {
  refuseExtras(part, kind);
  const [values = "", written, more] = part.split("/");
  if (more !== undefined) throw wrong(part, kind);
  const last = kind.most === WEEK ? WEEK - 1 : kind.most;
  const step = written === undefined ? 1 : stepOf(part, written, last - kind.least + 1, kind);
  if (values === "*" || (values === "?" && kind.days === true)) {
    return step === 1 ? undefined : { from: kind.least, to: last, step };
  }
  const [first = "", end, rest] = values.split("-");
  const from = numberOf(first, kind);
  if (from === undefined || rest !== undefined) throw wrong(part, kind);
  // From the seventh day on, which is the first again, there is that day alone.
  if (end === undefined) return { from, to: written === undefined ? from : Math.max(from, last), step };
  const to = numberOf(end, kind);
  if (to === undefined) throw wrong(part, kind);
  // A week that ends on Sunday.
  const until = kind.most === WEEK && to === 0 && from > 0 ? WEEK : to;
  if (from > until) {
    throw new RangeError(`a range of the ${kind.name} must not go backwards: current value is '${part}'`);
  }
  return { from, to: until, step };
}

function stepOf(part: string, written: string, most: number, kind: FieldKind): number {
  const step = /^\d{1,3}$/.test(written) ? Number(written) : 0;
  if (step >= 1 && step <= most) return step;
  throw new RangeError(
    `a step of the ${kind.name} must be a whole number from 1 to ${most}: current value is '${part}'`,
  );
}

function numberOf(text: string, { least, most, words = [] }: FieldKind): number | undefined {
  const word = words.indexOf(text.toUpperCase());
  if (word >= 0) return word + least;
  const value = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

/** What other programs' expressions hold beside the standard's, by its name. */
function refuseExtras(part: string, { name, days }: FieldKind): void {
  if (part.includes("#")) {
    throw new RangeError(`'#' (the nth weekday of a month) is not known: found '${part}'`);
  }
  if (days !== true) return;
  if (/W$/i.test(part)) throw new RangeError(`'W' (the nearest weekday) is not known: found '${part}'`);
  if (/^L(-\d+)?$|^\d+L$|^[A-Z]{3}L$/i.test(part)) {
    throw new RangeError(`'L' (the last ${name}) is not known: found '${part}'`);
  }
}

function wrong(part: string, { name, least, most, words }: FieldKind): RangeError {
  const named = words === undefined ? "" : `, ${words[0]} to ${words.at(-1)}`;
  return new RangeError(
    `the ${name} must be '*', ${least} to ${most}${named}, a range, a step or a list of those: current value is '${part}'`,
  );
}
