/** How cron expressions are read (F130, F133, W84, W85, W87). */
import { describe, expect, test } from "vitest";
import { cron } from "../../../src/cron/mod.ts";
import { nextOf, type StoredRecurrence } from "../../../src/jobs/schedule.ts";

const START = Date.parse("2001-01-01T00:00:00Z");

function next(by: StoredRecurrence, now: number = START): string {
  const found = nextOf(by, { now, due: now });
  return "at" in found ? new Date(found.at).toISOString().slice(0, 19) : `${found.delay} ms`;
}

function listed(expression: string, count: number, from: string = "2001-01-01T00:00:00Z"): readonly string[] {
  let now = Date.parse(from);
  return Array.from({ length: count }, () => {
    const found = nextOf(cron(expression), { now, due: now });
    now = "at" in found ? found.at : Number.NaN;
    return new Date(now).toISOString().slice(0, 16);
  });
}

describe("F130: an expression", () => {
  test.each([
    ["* * * * *", "2001-01-01T00:01:00"],
    ["5 4 * * *", "2001-01-01T04:05:00"],
    ["  5\t4  * * *  ", "2001-01-01T04:05:00"],
    ["0,30 12 * * *", "2001-01-01T12:00:00"],
    ["*/15 3-5 * * *", "2001-01-01T03:00:00"],
    ["10-40/15 * * * *", "2001-01-01T00:10:00"],
    ["50/5 * * * *", "2001-01-01T00:50:00"],
    ["0 0 1 FEB *", "2001-02-01T00:00:00"],
    ["0 0 1 feb-apr *", "2001-02-01T00:00:00"],
    ["0 0 ? * Tue", "2001-01-02T00:00:00"],
    ["0 0 29 2 *", "2004-02-29T00:00:00"],
    ["@hourly", "2001-01-01T01:00:00"],
    ["@daily", "2001-01-02T00:00:00"],
    ["@midnight", "2001-01-02T00:00:00"],
    ["@weekly", "2001-01-07T00:00:00"],
    ["@monthly", "2001-02-01T00:00:00"],
    ["@yearly", "2002-01-01T00:00:00"],
    ["@Annually", "2002-01-01T00:00:00"],
    ["@every 90s", "2001-01-01T00:01:30"],
    ["@every 1h30m", "2001-01-01T01:30:00"],
    ["TZ=Asia/Tokyo 0 12 * * *", "2001-01-01T03:00:00"],
    ["CRON_TZ=America/New_York @daily", "2001-01-01T05:00:00"],
    ["TZ=UTC 0 12 * * *", "2001-01-01T12:00:00"],
  ])("'%s' is first met at %s", (expression, wanted) => {
    expect(next(cron(expression))).toBe(wanted);
  });

  test("W87: with the day of the week 7 means Sunday, alone, in a range and as a range's end", () => {
    expect(listed("0 0 * * 7", 2)).toEqual(["2001-01-07T00:00", "2001-01-14T00:00"]);
    expect(listed("0 0 * * 0", 2)).toEqual(["2001-01-07T00:00", "2001-01-14T00:00"]);
    // From the seventh day on there is that day alone.
    expect(listed("0 0 * * 7/2", 2)).toEqual(["2001-01-07T00:00", "2001-01-14T00:00"]);
    for (const expression of ["0 0 * * 6-7", "0 0 * * SAT-SUN", "0 0 * * 6-0"]) {
      expect(listed(expression, 3)).toEqual(["2001-01-06T00:00", "2001-01-07T00:00", "2001-01-13T00:00"]);
    }
  });

  test("with both a day of the month and a day of the week is met on either", () => {
    expect(listed("0 0 13 * FRI", 4)).toEqual([
      "2001-01-05T00:00",
      "2001-01-12T00:00",
      "2001-01-13T00:00",
      "2001-01-19T00:00",
    ]);
    expect(listed("0 0 */10 * MON", 4)).toEqual([
      "2001-01-08T00:00",
      "2001-01-11T00:00",
      "2001-01-15T00:00",
      "2001-01-21T00:00",
    ]);
    expect(listed("0 0 */1 * MON", 2)).toEqual(["2001-01-08T00:00", "2001-01-15T00:00"]);
  });

  test("is met in UTC unless it says a zone, and the option is the same as the prefix", () => {
    expect(next(cron("0 12 * * *"))).toBe("2001-01-01T12:00:00");
    expect(next(cron("0 12 * * *", { timeZone: "Asia/Tokyo" }))).toBe("2001-01-01T03:00:00");
    expect(next(cron("TZ=Asia/Tokyo 0 12 * * *", { timeZone: "Asia/Tokyo" }))).toBe("2001-01-01T03:00:00");
  });

  test("F130: '* * * * *' at midnight is met a minute later", () => {
    expect(nextOf(cron("* * * * *"), { now: START, due: START })).toEqual({ at: START + 60_000 });
  });

  test("W85: is met on the minute however late it is asked for, and never at the instant that it was due", () => {
    const by = cron("* * * * *");
    expect(nextOf(by, { now: START + 5_000, due: START })).toEqual({ at: START + 60_000 });
    expect(nextOf(by, { now: START + 60_001, due: START })).toEqual({ at: START + 120_000 });
    expect(nextOf(by, { now: START - 30_000, due: START })).toEqual({ at: START + 60_000 });
  });

  test("'@every' is the same as every()", () => {
    const by = cron(" @every  90s");
    expect([by.kind, by.text]).toEqual(["every", "90000"]);
  });

  test("can be written down and read again", () => {
    for (
      const by of [
        cron("0 3 * * MON", { timeZone: "Europe/Berlin" }),

        cron("5 4 * * *"),
      ]
    ) {
      const again = cron.read(by.text);
      expect([again.kind, again.text]).toEqual(["cron", by.text]);
      expect(next(again)).toBe(next(by));
    }
    expect(cron("0 3 * * MON", { timeZone: "Europe/Berlin" }).text).toBe("TZ=Europe/Berlin 0 3 * * MON");
  });
});

describe("F130: refused by name, not thrown before it is asked", () => {
  const wrong: readonly (readonly [expression: unknown, message: RegExp])[] = [
    ["", /five fields: it has none/],
    ["   ", /five fields: it has none/],
    ["TZ=UTC", /five fields: it has none/],
    ["bad", /five fields, .*: it has 1$/],
    ["* * * *", /five fields, .*: it has 4$/],
    ["0 * * * * *", /it has 6, and seconds are not known/],
    ["0 * * * * * 2030", /it has 7, and seconds and years are not known/],
    ["2030-01-01T00:00:00", /a date names one instant: dispatch a job with 'at'/],
    ["2030-01-01 00:00:00", /a date names one instant/],
    ["@reboot", /'@reboot' names no time/],
    ["@fortnightly", /there is no "@fortnightly": there are @yearly/],
    ["@every", /a period must be hours/],
    ["@every 0s", /a period must be hours/],
    ["@every -5s", /a period must be hours/],
    ["@every 5 parsecs", /a period must be hours/],
    ["0 0 L * *", /'L' \(the last day of the month\) is not known: found 'L'/],
    ["0 0 L-3 * *", /'L' \(the last/],
    ["0 0 * * 5L", /'L' \(the last day of the week\)/],
    ["0 0 * * FRIL", /'L' \(the last day of the week\)/],
    ["0 0 15W * *", /'W' \(the nearest weekday\) is not known: found '15W'/],
    ["0 0 LW * *", /'W' \(the nearest weekday\)/],
    ["0 0 * * 1#2", /'#' \(the nth weekday of a month\) is not known: found '1#2'/],
    ["60 * * * *", /the minute must be '\*', 0 to 59, .*: current value is '60'/],
    ["-1 * * * *", /the minute must be/],
    [", * * * *", /the minute must be .*: current value is ''/],
    ["1,,2 * * * *", /the minute must be/],
    ["a * * * *", /the minute must be/],
    ["1.5 * * * *", /the minute must be/],
    ["? * * * *", /the minute must be/],
    ["0 24 * * *", /the hour must be '\*', 0 to 23/],
    ["0 0 0 * *", /the day of the month must be '\*', 1 to 31/],
    ["0 0 32 * *", /the day of the month must be/],
    ["0 0 * 13 *", /the month must be '\*', 1 to 12, JAN to DEC/],
    ["0 0 * FOO *", /the month must be/],
    ["0 0 * * 8", /the day of the week must be '\*', 0 to 7, SUN to SAT/],
    ["5-1 * * * *", /a range of the minute must not go backwards: current value is '5-1'/],
    ["*/0 * * * *", /a step of the minute must be a whole number from 1 to 60/],
    ["*/61 * * * *", /a step of the minute/],
    ["*/5/5 * * * *", /the minute must be/],
    ["1-2-3 * * * *", /the minute must be/],
    ["0 0 30 2 *", /never fires/],
    ["0 0 31 4,6,9,11 *", /never fires/],
    [
      "TZ=Mars/Olympus 0 0 * * *",
      /'timeZone' must be the IANA name of a time zone, .*: current value is "Mars\/Olympus"/,
    ],
    ["TZ= 0 0 * * *", /'timeZone' must be the IANA name/],
    ["TZ=Local 0 0 * * *", /'timeZone' must be the IANA name/],
    [5, /it must be a text of five fields/],
    [undefined, /it must be a text of five fields/],
  ];
  test.each(wrong)("%s", (expression, message) => {
    const by = cron(expression as string);
    expect(() => nextOf(by, { now: START, due: START })).toThrow(message);
    expect(() => nextOf(by, { now: START, due: START })).toThrow(/cron expression/);
  });

  test.each([["Nowhere/At_All"], [""], ["+02:00"], ["-0500"], [null], [5]])("the zone %s", (timeZone) => {
    const by = cron("0 0 * * *", { timeZone: timeZone as string });
    expect(() => nextOf(by, { now: START, due: START })).toThrow(/must be the IANA name of a time zone/);
  });

  test("a zone in front that is not the option's, and an option that there is none of", () => {
    const two = cron("TZ=UTC 0 0 * * *", { timeZone: "Europe/Berlin" });
    expect(() => nextOf(two, { now: START, due: START })).toThrow(
      /'timeZone' is another: "UTC", "Europe\/Berlin"/,
    );
    const slip = cron("0 0 * * *", { timezone: "Europe/Berlin" } as object);
    expect(() => nextOf(slip, { now: START, due: START })).toThrow(
      "Cannot read the cron expression \"0 0 * * *\" as there is no option 'timezone': ",
    );
  });
});
