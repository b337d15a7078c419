/**
 * Time zones: which instants a wall time is, where clocks are put forward and back. Offsets come from the runtime's own
 * `Intl`, the mapping is ours.
 *
 * A wall time is a number here, too: the milliseconds since the epoch at which a clock in UTC shows it.
 *
 * @module
 */

import { quote } from "../options.ts";

/** A time zone. */
export interface Zone {
  /** Its name, as it was given. */
  readonly name: string;
  /** Milliseconds that its clocks are ahead of UTC at an instant. */
  offsetAt(instant: number): number;
}

const HOUR = 3_600_000;
/** The offsets of all zones that ever were lie between these, and a zone's clocks change no two times so fast. */
const EARLIEST = 15 * HOUR;
const LATEST = 13 * HOUR;

/**
 * Makes a time zone of its IANA name.
 *
 * @throws {RangeError} for a name that the runtime does not know, and for an offset such as `+02:00`.
 */
export function createZone(name: string): Zone {
  const format = formatOf(name);
  return {
    name,
    offsetAt(instant) {
      const parts: Record<string, number> = {};
      for (const { type, value } of format.formatToParts(instant)) parts[type] = Number(value);
      const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
      return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1_000) * 1_000;
    },
  };
}

function formatOf(name: string): Intl.DateTimeFormat {
  const wanted = "must be the IANA name of a time zone, such as 'Europe/Berlin' or 'UTC'";
  // An offset has no changes of the clock, which is what a zone is given for; some runtimes know none.
  if (typeof name === "string" && /^[A-Za-z]/.test(name)) {
    try {
      return new Intl.DateTimeFormat("en-US", {
        timeZone: name,
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
    } catch {
      // Said below, with the wanted form.
    }
  }
  throw new RangeError(`'timeZone' ${wanted}: current value is ${quote(name)}`);
}

/** The instants at which the clocks of a zone show a wall time: none in a gap, two in an overlap, the earlier first. */
export function instantsOf(zone: Zone, wall: number): readonly number[] {
  const before = wall - zone.offsetAt(wall - EARLIEST);
  const after = wall - zone.offsetAt(wall + LATEST);
  const found = before === after ? [before] : [Math.min(before, after), Math.max(before, after)];
  return found.filter((instant) => instant + zone.offsetAt(instant) === wall);
}

/** The instant at which a wall time is met that each day has once: the first of two, and in a gap the gap's end. */
export function instantOf(zone: Zone, wall: number): number {
  const [first] = instantsOf(zone, wall);
  return first ?? changeBetween(zone, wall - EARLIEST, wall + LATEST);
}

/** The first instant of another offset than that of `from`, of which there must be one until `to`. */
export function changeBetween(zone: Zone, from: number, to: number): number {
  const offset = zone.offsetAt(from);
  let low = from;
  let high = to;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zone.offsetAt(middle) === offset) low = middle;
    else high = middle;
  }
  return high;
}
