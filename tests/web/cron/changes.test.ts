/** Which instants a cron expression means where clocks are put forward and back (F130). */
import { expect, test } from "vitest";
import { cron } from "../../../src/cron/mod.ts";
import { nextOf } from "../../../src/jobs/schedule.ts";

/** The instants of an expression from `from` on until before `to`, as texts of minutes in UTC. */
function between(expression: string, timeZone: string, from: string, to: string): readonly string[] {
  const by = cron(expression, { timeZone });
  const end = Date.parse(`${to}Z`);
  const found: string[] = [];
  let now = Date.parse(`${from}Z`) - 1;
  for (;;) {
    const next = nextOf(by, { now, due: now });
    if (!("at" in next) || next.at >= end) return found;
    expect(next.at, "instants only grow").toBeGreaterThan(now);
    now = next.at;
    found.push(new Date(now).toISOString().slice(5, 16));
  }
}

/** Each the instants from some hours before a change until some hours after it. */
interface Change {
  readonly what: string;
  readonly zone: string;
  readonly from: string;
  readonly to: string;
  readonly wanted: Readonly<Record<string, readonly string[]>>;
}

const CHANGES: readonly Change[] = [
  {
    what: "Berlin, 02:00 to 03:00 is left out",
    zone: "Europe/Berlin",
    from: "2026-03-28T23:00",
    to: "2026-03-29T03:00",
    wanted: {
      "30 2 * * *": ["03-29T01:00"],
      "0,30 2 * * *": ["03-29T01:00"],
      "*/20 2 * * *": ["03-29T01:00"],
      "0 1-3 * * *": ["03-29T00:00", "03-29T01:00"],
      "15 */2 * * *": ["03-28T23:15", "03-29T02:15"],
      "30 * * * *": ["03-28T23:30", "03-29T00:30", "03-29T01:30", "03-29T02:30"],
    },
  },
  {
    what: "Berlin, 02:00 to 03:00 comes twice",
    zone: "Europe/Berlin",
    from: "2026-10-24T22:00",
    to: "2026-10-25T04:00",
    wanted: {
      "30 2 * * *": ["10-25T00:30"],
      "0,30 2 * * *": ["10-25T00:00", "10-25T00:30"],
      "*/20 2 * * *": ["10-25T00:00", "10-25T00:20", "10-25T00:40"],
      "0 1-3 * * *": ["10-24T23:00", "10-25T00:00", "10-25T02:00"],
      "15 */2 * * *": ["10-24T22:15", "10-25T00:15", "10-25T01:15", "10-25T03:15"],
      "30 * * * *": [
        "10-24T22:30",
        "10-24T23:30",
        "10-25T00:30",
        "10-25T01:30",
        "10-25T02:30",
        "10-25T03:30",
      ],
    },
  },
  {
    what: "New York, 02:00 to 03:00 is left out",
    zone: "America/New_York",
    from: "2026-03-08T05:00",
    to: "2026-03-08T09:00",
    wanted: {
      "30 2 * * *": ["03-08T07:00"],
      "0,30 2 * * *": ["03-08T07:00"],
      "*/20 2 * * *": ["03-08T07:00"],
      "0 1-3 * * *": ["03-08T06:00", "03-08T07:00"],
      "15 */2 * * *": ["03-08T05:15", "03-08T08:15"],
      "30 * * * *": ["03-08T05:30", "03-08T06:30", "03-08T07:30", "03-08T08:30"],
    },
  },
  {
    what: "New York, 01:00 to 02:00 comes twice",
    zone: "America/New_York",
    from: "2026-11-01T04:00",
    to: "2026-11-01T09:00",
    wanted: {
      "30 2 * * *": ["11-01T07:30"],
      "0,30 2 * * *": ["11-01T07:00", "11-01T07:30"],
      "*/20 2 * * *": ["11-01T07:00", "11-01T07:20", "11-01T07:40"],
      "0 1-3 * * *": ["11-01T05:00", "11-01T07:00", "11-01T08:00"],
      "15 */2 * * *": ["11-01T04:15", "11-01T07:15"],
      "30 * * * *": ["11-01T04:30", "11-01T05:30", "11-01T06:30", "11-01T07:30", "11-01T08:30"],
      "30 1 * * *": ["11-01T05:30"],
    },
  },
  {
    what: "Sao Paulo, the first hour of the day is left out",
    zone: "America/Sao_Paulo",
    from: "2018-11-04T01:00",
    to: "2018-11-04T06:00",
    wanted: {
      "30 2 * * *": ["11-04T04:30"],
      "0,30 2 * * *": ["11-04T04:00", "11-04T04:30"],
      "*/20 2 * * *": ["11-04T04:00", "11-04T04:20", "11-04T04:40"],
      "0 1-3 * * *": ["11-04T03:00", "11-04T04:00", "11-04T05:00"],
      "15 */2 * * *": ["11-04T01:15", "11-04T04:15"],
      "30 * * * *": ["11-04T01:30", "11-04T02:30", "11-04T03:30", "11-04T04:30", "11-04T05:30"],
      "0 0 * * *": ["11-04T03:00"],
      "0,30 0 * * *": ["11-04T03:00"],
      "@daily": ["11-04T03:00"],
    },
  },
  {
    what: "Sao Paulo, the last hour of the day comes twice",
    zone: "America/Sao_Paulo",
    from: "2018-02-18T00:00",
    to: "2018-02-18T06:00",
    wanted: {
      "30 2 * * *": ["02-18T05:30"],
      "0,30 2 * * *": ["02-18T05:00", "02-18T05:30"],
      "*/20 2 * * *": ["02-18T05:00", "02-18T05:20", "02-18T05:40"],
      "0 1-3 * * *": ["02-18T04:00", "02-18T05:00"],
      "15 */2 * * *": ["02-18T00:15", "02-18T03:15", "02-18T05:15"],
      "30 * * * *": [
        "02-18T00:30",
        "02-18T01:30",
        "02-18T02:30",
        "02-18T03:30",
        "02-18T04:30",
        "02-18T05:30",
      ],
      "30 23 * * *": ["02-18T01:30"],
      "0 0 * * *": ["02-18T03:00"],
    },
  },
  {
    what: "Lord Howe, 02:00 to 02:30 is left out",
    zone: "Australia/Lord_Howe",
    from: "2026-10-03T13:30",
    to: "2026-10-03T18:00",
    wanted: {
      "30 2 * * *": ["10-03T15:30"],
      "0,30 2 * * *": ["10-03T15:30"],
      "*/20 2 * * *": ["10-03T15:30", "10-03T15:40"],
      "0 1-3 * * *": ["10-03T14:30", "10-03T15:30", "10-03T16:00"],
      "15 */2 * * *": ["10-03T13:45", "10-03T17:15"],
      "30 * * * *": ["10-03T14:00", "10-03T15:00", "10-03T15:30", "10-03T16:30", "10-03T17:30"],
    },
  },
  {
    what: "Lord Howe, 01:30 to 02:00 comes twice",
    zone: "Australia/Lord_Howe",
    from: "2026-04-04T13:00",
    to: "2026-04-04T18:00",
    wanted: {
      "30 2 * * *": ["04-04T16:00"],
      "0,30 2 * * *": ["04-04T15:30", "04-04T16:00"],
      "*/20 2 * * *": ["04-04T15:30", "04-04T15:50", "04-04T16:10"],
      "0 1-3 * * *": ["04-04T14:00", "04-04T15:30", "04-04T16:30"],
      "15 */2 * * *": ["04-04T13:15", "04-04T15:45", "04-04T17:45"],
      "30 * * * *": ["04-04T13:30", "04-04T14:30", "04-04T15:00", "04-04T16:00", "04-04T17:00"],
      "45 1 * * *": ["04-04T14:45"],
    },
  },
  {
    what: "Samoa, a whole day is left out",
    zone: "Pacific/Apia",
    from: "2011-12-30T00:00",
    to: "2011-12-31T12:00",
    wanted: {
      "30 2 * * *": ["12-30T10:00", "12-30T12:30"],
      "0 * 30 12 *": [],
    },
  },
];

for (const { what, zone, from, to, wanted } of CHANGES) {
  for (const [expression, instants] of Object.entries(wanted)) {
    test(`F130: ${what}: '${expression}'`, () => {
      expect(between(expression, zone, from, to)).toEqual(instants);
    });
  }
}

test("F130: over two years each day of the wall's clock has its one run, and no instant two", () => {
  for (const zone of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]) {
    for (const expression of ["30 2 * * *", "15 0 * * *", "59 23 * * *", "45 1 * * *"]) {
      const found = between(expression, zone, "2010-01-01T12:00", "2012-01-01T12:00");
      expect(found, `${expression} in ${zone}`).toHaveLength(730);
    }
  }
});

test("F130: over a year an hour that begins with a star has as many runs as hours go by", () => {
  for (const zone of ["Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu"]) {
    expect(between("30 * * * *", zone, "2018-01-01T00:00", "2019-01-01T00:00")).toHaveLength(365 * 24);
  }
});
