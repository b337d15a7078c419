/**
 * Cron expressions as recurrences: for `relay.schedule`, and for `reschedule`.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { cron } from "@relevo/relevo/cron";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { report: v.object({}) }, recurrences: [cron] });
 * const when = cron("30 2 * * *", { timeZone: "Europe/Berlin" });
 * console.log(await relay.schedule("report", {}, { when })); // created
 * await relay.close();
 * ```
 *
 * @module
 */

import { Cron } from "croner";
import { errorOf, messageOf } from "../errors.ts";
import { markMaker } from "../jobs/mistake.ts";
import { checkKnown, quote, shown } from "../options.ts";
import { every, type RecurrenceKind, type StoredRecurrence, type Tick } from "../jobs/schedule.ts";
import { readExpression } from "./expression.ts";
import { nextElapsed, nextOnce, type Walls } from "./walk.ts";
import { createZone } from "./zone.ts";

/** The options of {@linkcode cron} beside the expression. */
export interface CronOptions {
  /** The zone whose clocks count, by its IANA name. Default: `UTC`, or what `TZ=` in the expression says. */
  readonly timeZone?: string | undefined;
}

/** Makes recurrences of cron expressions; as a value of its own it is the kind that `createRelay` is given. */
export interface CronKind extends RecurrenceKind {
  (expression: string, options?: CronOptions): StoredRecurrence;
}

/**
 * A recurrence by a cron expression, as in `cron("30 2 * * MON-FRI", { timeZone: "Europe/Berlin" })`.
 *
 * Five fields: minute, hour, day of the month, month, day of the week, each `*`, a value, a name, a range, a step or a
 * list of those; 7 is Sunday, too. Where both days are given, either will do. `@hourly`, `@daily`, `@weekly`, `@monthly`,
 * `@yearly`, `@every 90s`. A `TZ=Europe/Berlin` or `CRON_TZ=` in front is the same as `timeZone`. Without either it is
 * UTC, never the zone of the process. Six and seven fields, `L`, `W`, `#`, `@reboot` and dates are refused.
 *
 * Where clocks change, an expression whose hours begin with `*` follows the hours that go by: in an overlap it is met in
 * both of its hours, in a gap not. Every other expression names times of the clock on the wall, each of which is met once
 * a day: one that lies in a gap at the gap's end, and one that comes twice at the first.
 *
 * Nothing is thrown here: a fault of the expression or the zone is thrown by `next`. So `schedule` rejects, and
 * a `reschedule` makes its job dead with the text (seed 004).
 *
 * @example
 * ```ts
 * import { cron } from "@relevo/relevo/cron";
 *
 * const nightly = cron("30 2 * * *", { timeZone: "Europe/Berlin" });
 * const now = Date.parse("2026-03-29T00:00:00Z");
 * console.log(nightly.next({ now, due: now })); // { at: 1774746000000 }, as 02:30 is left out that night
 * ```
 */
export const cron: CronKind = Object.assign(fromExpression, {
  kind: "cron",
  read: (text: string): StoredRecurrence => fromExpression(text),
});

markMaker(cron, "reschedule(cron(expression))");

function fromExpression(expression: string, options: CronOptions = {}): StoredRecurrence {
  const unread = (error: Error): StoredRecurrence => ({
    kind: "cron",
    text: shown(expression),
    next: (_: Tick): never => {
      throw error;
    },
  });
  const action = `read the cron expression ${quote(expression)}`;
  try {
    checkKnown(action, options, ["timeZone"]);
  } catch (error) {
    return unread(errorOf(error));
  }
  try {
    const read = readExpression(expression, options.timeZone);
    if ("period" in read) return every(read.period);
    const zone = createZone(read.zone);
    const walls = wallsOf(read.fields);
    const next = read.elapsed ? nextElapsed : nextOnce;
    return {
      kind: "cron",
      text: read.text,
      next({ now, due }) {
        // A clock that is behind the broker's must not give the same instant again.
        const at = next(zone, walls, Math.max(now, due));
        if (at !== undefined) return { at };
        throw new RangeError(`the cron expression ${quote(read.text)} never fires`);
      },
    };
  } catch (cause) {
    return unread(new RangeError(`Cannot ${action} as ${messageOf(cause)}`, { cause }));
  }
}

/** The wall times of five fields: listed in UTC, where no clock changes, so that the mapping to instants is left to us. */
function wallsOf(fields: string): Walls {
  const listed = new Cron(fields, { utcOffset: 0, mode: "5-part", paused: true });
  return { next: (after) => listed.nextRun(new Date(after))?.getTime() };
}
