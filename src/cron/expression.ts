/**
 * Reads cron expressions: five fields, descriptors such as `@daily`, `@every`, and the zone that may stand in front.
 *
 * @module
 */

import { MAX_DELAY } from "../defaults.ts";
import { quote } from "../options.ts";
import { FIELDS, plainField } from "./field.ts";

/** An expression that was read. */
export type Expression =
  | {
    /** Five fields in their plainest form. */
    readonly fields: string;
    /** Whether hours that go by count, and not the clock on the wall. */
    readonly elapsed: boolean;
    readonly zone: string;
    /** The expression in one spelling, its zone in front. */
    readonly text: string;
  }
  | { readonly period: number };

const DESCRIPTORS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Reads an expression; `timeZone` is the option beside it.
 *
 * @throws {TypeError | RangeError} that says the fault, to be completed with the expression.
 */
export function readExpression(expression: string, timeZone: string | undefined): Expression {
  if (typeof expression !== "string") throw new TypeError("it must be a text of five fields");
  const [, , prefix, rest = ""] = /^\s*((?:CRON_)?TZ=(\S*))?\s*(.*?)\s*$/s.exec(expression) ?? [];
  if (prefix !== undefined && timeZone !== undefined && prefix !== timeZone) {
    throw new RangeError(
      `it has a time zone, and 'timeZone' is another: ${quote(prefix)}, ${quote(timeZone)}`,
    );
  }
  const zone = timeZone === undefined ? prefix ?? "UTC" : timeZone;
  const body = rest.split(/\s+/).join(" ");
  if (body === "") throw new RangeError("it must have five fields: it has none");
  if (/^@every(\s|$)/i.test(body)) {
    return { period: periodOf(body.slice("@every".length).trim()) };
  }
  const fields = body.startsWith("@") ? described(body) : body;
  if (/^\d{4}-\d\d/.test(fields)) {
    throw new RangeError("a date names one instant: dispatch a job with 'at'");
  }
  const parts = fields.split(" ");
  if (parts.length !== FIELDS.length) throw new RangeError(countOf(parts.length));
  const plain = FIELDS.map((kind, n) => plainField(parts[n] ?? "", kind));
  return {
    fields: plain.join(" "),
    elapsed: parts[1]?.startsWith("*") === true,
    zone,
    text: zone === "UTC" ? body : `TZ=${zone} ${body}`,
  };
}

function described(body: string): string {
  const fields = DESCRIPTORS[body.toLowerCase()];
  if (fields !== undefined) return fields;
  if (/^@reboot\b/i.test(body)) {
    throw new RangeError("'@reboot' names no time: dispatch a job when the program starts");
  }
  throw new RangeError(
    `there is no ${quote(body)}: there are ${Object.keys(DESCRIPTORS).join(", ")} and @every`,
  );
}

function countOf(count: number): string {
  const more = count === 6
    ? ", and seconds are not known"
    : count === 7
    ? ", and seconds and years are not known"
    : "";
  return `it must have five fields, from the minute to the day of the week: it has ${count}${more}`;
}

/** The milliseconds of a period such as `90s` or `1h30m`. */
function periodOf(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gi)];
  const period = parts.reduce(
    (sum, [, number, unit = ""]) => sum + Number(number) * (UNITS[unit.toLowerCase()] ?? 0),
    0,
  );
  const whole = parts.map(([part]) => part).join("") === text;
  if (whole && Number.isInteger(period) && period >= 1 && period <= MAX_DELAY) return period;
  throw new RangeError(
    `a period must be hours, minutes and seconds from 1 ms to a century, such as '90s' or '1h30m': current value is ${
      quote(text)
    }`,
  );
}
