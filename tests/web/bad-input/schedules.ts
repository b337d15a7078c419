/** Schedules that cannot be, each refused where it is said, with nothing stored. */
import { expect, it } from "vitest";
import {
  after,
  at,
  createRelay,
  every,
  fromBroker,
  InvalidPayloadError,
  type Relay,
  RelayClosed,
  type ScheduleOptions,
  UnencodableError,
  UnknownJobError,
  UnknownQueueError,
} from "../../../mod.ts";
import { cron } from "../../../src/cron/mod.ts";
import { checked, free, rejection, running, thrown } from "../support/kit.ts";
import type { OpenPlace } from "../support/place.ts";

const jobs = {
  report: checked<number>((value) => typeof value === "number" ? [] : [{ message: "no number", path: [] }]),
  loose: free<unknown>(),
  news: { schema: free<unknown>(), topic: true },
};
const when = every(1_000);

type Loose = (...rest: unknown[]) => Promise<unknown>;

async function refusal(relay: Relay<typeof jobs>, options: unknown, name = "report"): Promise<string> {
  return (await rejection((relay.schedule as unknown as Loose)(name, 1, options))).message;
}

export function schedules(open: OpenPlace): void {
  recurrences(open);
  options(open);
  calls(open);
  lists(open);
  relays(open);
  texts(open);
}

/** Fields of a stored schedule as no version of Relevo writes them. */
const NONSENSE: readonly (readonly [field: string, json: string])[] = [
  ["v", "null"],
  ["name", "5"],
  ["when", '"every"'],
  ["when", '{"kind":"every","text":1000}'],
  ["missed", '"never"'],
  ["overlap", "true"],
  ["jitter", "1e999"],
  ["jitter", "-1"],
  ["start", '"now"'],
  ["end", "1e300"],
  ["owner", "[]"],
  ["placed", '"yes"'],
  ["meta", "5"],
  ["meta", '{"codec":5}'],
  ["meta", '{"attempts":-1}'],
  ["meta", `{"headers":${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}}`],
];

function texts(open: OpenPlace): void {
  it("a stored schedule that makes no sense is told as that, and keeps no other and no operator's call from its end", async () => {
    const { transport, runtime, ...place } = open();
    const relay = place.relay(jobs);
    const call = { deadline: 10_000 };
    const told: string[] = [];
    relay.events.addEventListener("error", ({ detail }) => told.push(detail.error.message));
    const ran: number[] = [];
    relay.handle("report", (value) => void ran.push(value));
    await relay.schedule("report", 1, { when, key: "sound" });
    const sound = await transport.schedules?.get("default", "sound", call);
    const fields: object = JSON.parse(sound?.text ?? "");
    for (const [n, [field, json]] of NONSENSE.entries()) {
      const rest = JSON.stringify({ ...fields, [field]: undefined });
      const text = `${rest.slice(0, -1)},"${field}":${json}}`;
      const schedule = { queue: "default", key: `wrong ${n}`, tick: runtime.now() + 1, text };
      await transport.schedules?.put({ ...schedule, payload: new Uint8Array() }, call);
    }
    const worker = running(relay);
    await runtime.advance(5_000);
    await worker.abort();
    expect(ran.length).toBeGreaterThan(3);
    expect(new Set(ran)).toEqual(new Set([1]));
    expect(told).toHaveLength(NONSENSE.length);
    for (const message of told) expect(message).toContain("its text is no schedule of Relevo's");
    expect((await relay.schedules.list()).schedules).toHaveLength(1 + NONSENSE.length);
    for (const n of NONSENSE.keys()) expect(await relay.schedules.remove(`wrong ${n}`)).toBe(true);
    expect(await relay.info()).toMatchObject({ waiting: 0, failed: 0 });
  });
}

function recurrences(open: OpenPlace): void {
  it.each<readonly [string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "* * * * *"],
    ["a number", 1_000],
    ["a function", () => 1],
    ["after", after(1_000)],
    ["at", at(1_000)],
    ["a recurrence that is only a function", { next: () => ({ delay: 1_000 }) }],
    ["a kind without a text", { kind: "x", next: () => ({ delay: 1 }) }],
    ["a kind that is none", { kind: "", text: "", next: () => ({ delay: 1 }) }],
    ["cron itself", cron],
  ])("%s is no recurrence that can be written down", async (_, wrong) => {
    const relay = open().relay(jobs);
    expect(await refusal(relay, { when: wrong })).toMatch(
      /^Cannot schedule 'report' as 'when' must be a recurrence that can be written down, every\(ms\) or cron\(expression\): current value is /,
    );
    expect((await relay.schedules.list()).schedules).toEqual([]);
  });

  it.each<readonly [string, unknown, RegExp]>([
    ["an expression that is none", cron("bad"), /Cannot schedule 'report': .*five fields/],
    ["an expression that never fires", cron("0 0 30 2 *"), /Cannot schedule 'report': .*never fires/],
    ["a zone that is none", cron("@daily", { timeZone: "Nowhere" }), /must be the IANA name/],
    ["a recurrence that stands still", { kind: "x", text: "", next: () => ({ at: 0 }) }, /lies ahead/],
    [
      "a recurrence that gives nothing",
      { kind: "x", text: "", next: () => undefined },
      /delay or an instant/,
    ],
    [
      "a recurrence that gives a promise",
      { kind: "x", text: "", next: () => Promise.resolve({}) },
      /at once/,
    ],
    ["a recurrence that throws", {
      kind: "x",
      text: "",
      next: () => {
        throw new Error("no next");
      },
    }, /Cannot schedule 'report': no next/],
  ])("%s is refused when it is scheduled", async (_, wrong, message) => {
    const relay = open().relay(jobs, { recurrences: [cron] });
    expect(await refusal(relay, { when: wrong })).toMatch(message);
    expect((await relay.schedules.list()).schedules).toEqual([]);
  });

  it.each([[0], [-1], [Number.NaN], [Infinity], [1e15]])(
    "a period of %s is refused where it is said",
    (period) => {
      expect(thrown(() => every(period)).message).toContain(
        "'period' must be milliseconds from 1 to a century",
      );
    },
  );
}

function options(open: OpenPlace): void {
  it.each<readonly [string, object, RegExp]>([
    ["an option that there is not", { jiter: 1 }, /Cannot schedule 'report' as there is no option 'jiter'/],
    ["id", { id: "x" }, /no option 'id'/],
    ["idWindow", { idWindow: 1 }, /no option 'idWindow'/],
    ["onDuplicate", { onDuplicate: "throw" }, /no option 'onDuplicate'/],
    ["delay", { delay: 1 }, /no option 'delay'/],
    ["at", { at: 1 }, /no option 'at'/],
    ["transaction", { transaction: {} }, /no option 'transaction'/],
    ["signal", { signal: AbortSignal.abort() }, /no option 'signal'/],
    ["an empty key", { key: "" }, /key of a schedule must be a non-empty string: current value is ""/],
    ["a key that is none", { key: 5 }, /key of a schedule must be a non-empty string: current value is 5/],
    ["a key too long", { key: "ü".repeat(128) }, /must be at most 255 bytes: current size is 256/],
    ["a key with a line break", { key: "a\nb" }, /text without control characters/],
    ["a key with half a pair", { key: "\ud800" }, /text without control characters/],
    [
      "a wrong word for missed",
      { missed: "never" },
      /'missed' must be one of 'once', 'skip', 'all': current value is "never"/,
    ],
    [
      "a wrong word for overlap",
      { overlap: true },
      /'overlap' must be one of 'allow', 'skip': current value is true/,
    ],
    [
      "a negative jitter",
      { jitter: -1 },
      /'jitter' must be milliseconds from 0 to a century: current value is -1/,
    ],
    ["a jitter that is none", { jitter: "1s" }, /'jitter' must be milliseconds/],
    [
      "a start that is none",
      { start: "2026-01-01" },
      /'start' must be a Date or milliseconds since the epoch/,
    ],
    [
      "a start that is more than a century away",
      { start: 8.64e15 },
      /'start' must be a Date or milliseconds since the epoch, at most a century from now/,
    ],
    ["a start that is an invalid date", { start: new Date(Number.NaN) }, /'start' must be a Date/],
    ["an end that is none", { end: Infinity }, /'end' must be a Date or milliseconds since the epoch/],
    [
      "an end before its start",
      { start: 2_000, end: 1_000 },
      /'end' must not be before 'start': .* 1000 ms before/,
    ],
    ["an end before its first tick", { end: 1_000 }, /never fires/],
    ["attempts that are none", { maxAttempts: 0 }, /'maxAttempts' must be a whole number from 1/],
    ["a timeout that is none", { timeout: -1 }, /'timeout' must be milliseconds/],
    ["a backoff that cannot travel", { backoff: () => 1 }, /'backoff' must be a policy that can travel/],
    ["headers that are none", { headers: { a: 1 } }, /header 'a' must be a string/],
  ])("%s is refused", async (_, wrong, message) => {
    const relay = open().relay(jobs);
    expect(await refusal(relay, { when, ...wrong })).toMatch(message);
    expect((await relay.schedules.list()).schedules).toEqual([]);
  });

  it.each([[undefined], [null], ["x"], [5]])("%s for options is refused", async (wrong) => {
    expect(await refusal(open().relay(jobs), wrong)).toMatch(
      /Cannot schedule 'report' as its options must be an object/,
    );
  });

  it("names, queues and payloads are refused as a dispatch's are", async () => {
    const relay = open().relay(jobs);
    const schedule = relay.schedule as unknown as Loose;
    expect(await rejection(schedule("none", 1, { when }))).toBeInstanceOf(UnknownJobError);
    expect(await rejection(schedule(undefined, 1, { when }))).toBeInstanceOf(Error);
    expect(await rejection(schedule("report", 1, { when, queue: "none" }))).toBeInstanceOf(UnknownQueueError);
    expect((await rejection(schedule("news", 1, { when, queue: "default" }))).message).toContain(
      "topic 'news'",
    );
    expect(await rejection(schedule("report", "text", { when }))).toBeInstanceOf(InvalidPayloadError);
    expect(await rejection(schedule("loose", 1n, { when }))).toBeInstanceOf(UnencodableError);
    expect((await relay.schedules.list()).schedules).toEqual([]);
  });
}

function calls(open: OpenPlace): void {
  it("operators' calls refuse keys, queues and options that are none", async () => {
    const { schedules } = open().relay(jobs);
    const verbs: readonly (readonly [string, Loose])[] = [
      ["pause a schedule", schedules.pause as Loose],
      ["resume a schedule", schedules.resume as Loose],
      ["remove a schedule", schedules.remove as Loose],
      ["run a schedule", schedules.run as Loose],
      ["preview a schedule", (key, options) => (schedules.preview as Loose)(key, 1, options)],
    ];
    for (const [action, verb] of verbs) {
      expect((await rejection(verb(""))).message).toContain(
        `Cannot ${action} as the key of a schedule must be`,
      );
      expect((await rejection(verb(5))).message).toContain(
        `Cannot ${action} as the key of a schedule must be`,
      );
      expect((await rejection(verb("k", { queue: "" }))).message).toContain(`Cannot ${action} as`);
      expect((await rejection(verb("k", { quue: "x" }))).message).toContain("no option 'quue'");
      expect((await rejection(verb("k", { signal: 5 }))).message).toContain(
        "'signal' must be an AbortSignal",
      );
      const reason = new Error("enough");
      expect(await rejection(verb("k", { signal: AbortSignal.abort(reason) }))).toBe(reason);
    }
    for (const count of [0, -1, 1.5, 1_001, "5", Number.NaN]) {
      expect((await rejection((schedules.preview as Loose)("k", count))).message).toContain(
        "'count' must be a whole number from 1 to 1000",
      );
    }
    expect((await rejection(schedules.pause("k", { reason: "" }))).message).toContain("reason of a pause");
    expect((await rejection(schedules.list({ limit: 0 }))).message).toContain(
      "'limit' must be a whole number",
    );
    for (const cursor of ["", "x", "[1]", "{}"]) {
      expect((await rejection(schedules.list({ cursor }))).message).toContain(
        "'cursor' must be that of a page before",
      );
    }
  });
}

function lists(open: OpenPlace): void {
  it("a list to sync is checked as a whole before anything is stored", async () => {
    const relay = open().relay(jobs);
    const sync = relay.schedules.sync as unknown as Loose;
    const good = { name: "report", payload: 1, when };
    const owner = "app";
    const wrong: readonly (readonly [unknown, unknown, RegExp])[] = [
      [undefined, { owner }, /there must be a list of up to/],
      [{}, { owner }, /there must be a list of up to/],
      [[good, null], { owner }, /each of them must be an object/],
      [[good, { ...good, key: "" }], { owner }, /key of a schedule/],
      [[good, { ...good, name: "none", key: "b" }], { owner }, /Unknown job 'none'/],
      [[good, { ...good, payload: "text", key: "b" }], { owner }, /does not fit its schema/],
      [[good, { ...good, missed: "no", key: "b" }], { owner }, /'missed' must be one of/],
      [[good, good], { owner }, /'report' is there twice/],
      [[good], undefined, /its options must be an object/],
      [[good], {}, /owner of schedules must be a non-empty string: current value is undefined/],
      [[good], { owner: "" }, /owner of schedules must be a non-empty string/],
      [[good], { owner, ower: 1 }, /no option 'ower'/],
    ];
    for (const [list, options, message] of wrong) {
      expect((await rejection(sync(list, options))).message).toMatch(message);
    }
    expect((await relay.schedules.list()).schedules).toEqual([]);
  });
}

function relays(open: OpenPlace): void {
  it("kinds of recurrences that are none, or two of one name, are refused where the relay is made", () => {
    const make = (recurrences: unknown): string =>
      thrown(() => createRelay({ jobs, recurrences: recurrences as readonly [] })).message;
    expect(make(cron)).toContain("'recurrences' must be a list of kinds, such as [cron]");
    expect(make([cron("* * * * *")])).toContain("must have a 'kind' and the function 'read'");
    expect(make([undefined])).toContain("must have a 'kind' and the function 'read'");
    expect(make([cron, { kind: "cron", read: cron.read }])).toContain(
      "two kinds of recurrences are called 'cron'",
    );
    expect(make([{ kind: "every", read: cron.read }])).toContain(
      "two kinds of recurrences are called 'every'",
    );
    expect(() => createRelay({ jobs, recurrences: [cron, cron] })).not.toThrow();
  });

  it("a transport without schedules is refused by its name", async () => {
    const transport = fromBroker({
      publish: () => Promise.resolve(),
      subscribe: () => Promise.resolve(() => Promise.resolve()),
    });
    const relay = open().relay({ report: jobs.report }, { transport });
    const options: ScheduleOptions = { when };
    expect((await rejection(relay.schedule("report", 1, options))).message).toBe(
      `Cannot schedule 'report' as the ${transport.name} transport has no schedules: a broker that publishes and subscribes keeps no schedules`,
    );
    expect((await rejection(relay.schedules.list())).message).toContain("transport has no schedules");
    expect((await rejection(relay.schedules.sync([], { owner: "x" }))).message).toContain("has no schedules");
  });

  it("a closed relay refuses schedules", async () => {
    const relay = open().relay(jobs);
    await relay.close();
    for (
      const call of [
        relay.schedule("report", 1, { when }),
        relay.schedules.list(),
        relay.schedules.pause("k"),
        relay.schedules.sync([], { owner: "x" }),
      ]
    ) expect(await rejection(call)).toBeInstanceOf(RelayClosed);
  });
}
