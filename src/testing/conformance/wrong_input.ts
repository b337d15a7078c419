/**
 * Wrong input: each transport refuses the same, with the same class of error, and nothing of it reaches the store. The
 * items of a batch are refused one by one.
 *
 * @module
 */

import type { Call, Extension, PushJob, ReserveOptions, Settlement } from "../../jobs/exchange.ts";
import type { Transport } from "../../contract/transport.ts";
import { equal, ok, rejects } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { bytes, counted, job, type Lab, QUEUE } from "./lab.ts";
import type { Need } from "./subject.ts";

type Refusal = typeof RangeError | typeof TypeError;

/** A call that must be refused: its fault, the error's class, and how it is made. */
type Row = readonly [wrong: string, refusal: Refusal, call: (lab: Lab) => Promise<unknown>];

/** Any value as whatever a call takes, as a program without types may give it. */
function as<T>(value: unknown): T {
  return value as T;
}

const LONG = "n".repeat(256);
const HALF = "\ud800";

function reserving(part: object, queues: unknown = [QUEUE]): Row[2] {
  return ({ t, call, long }) =>
    t.reserve(as(queues), as<ReserveOptions>({ limit: 1, slots: 1, lease: long, wait: 0, ...call, ...part }));
}

const RESERVES: readonly Row[] = [
  ["no list of queues", TypeError, reserving({}, QUEUE)],
  ["no queues", RangeError, reserving({}, [])],
  ["a topic's own queue", TypeError, reserving({}, [QUEUE, "orders@"])],
  ["a queue without a name", TypeError, reserving({}, [""])],
  ["a queue with a name too long", RangeError, reserving({}, [LONG])],
  ["a queue that is no text", TypeError, reserving({}, [5])],
  ["a limit of 0", RangeError, reserving({ limit: 0 })],
  ["a limit that is not whole", RangeError, reserving({ limit: 1.5 })],
  ["a limit that is no number", RangeError, reserving({ limit: "1" })],
  ["slots below 0", RangeError, reserving({ slots: -1 })],
  ["slots that are no number", RangeError, reserving({ slots: NaN })],
  ["a lease of 0", RangeError, reserving({ lease: 0 })],
  ["a lease that is no number", RangeError, reserving({ lease: NaN })],
  ["a wait below 0", RangeError, reserving({ wait: -1 })],
  ["a wait without end", RangeError, reserving({ wait: Infinity })],
  ["a `ready` that is a word", TypeError, reserving({ ready: "yes" })],
];

/** One call of each verb, with its bounds. */
const CALLS: readonly (readonly [verb: string, call: (t: Transport, call: Call) => Promise<unknown>])[] = [
  ["push", (t, call) => t.push([job()], call)],
  ["reserve", (t, call) => t.reserve([QUEUE], { limit: 1, slots: 1, lease: 1_000, wait: 0, ...call })],
  ["extend", (t, call) => t.extend([], call)],
  ["settle", (t, call) => t.settle([], call)],
  ["info", (t, call) => t.info(QUEUE, call)],
  ["queues", (t, call) => t.queues(call)],
  ["list", (t, call) => t.list(QUEUE, "waiting", { limit: 1, preview: 0 }, call)],
  ["get", (t, call) => t.get(QUEUE, ["1"], call)],
  ["reload", (t, call) => t.reload(QUEUE, "failed", "all", { ...call, reset: false })],
  ["remove", (t, call) => t.remove(QUEUE, "waiting", "all", call)],
];

const BOUNDS: readonly Row[] = CALLS.flatMap(([verb, call]): readonly Row[] => [
  [`${verb} without a deadline`, RangeError, ({ t }) => call(t, as({}))],
  [`${verb} with a deadline below 0`, RangeError, ({ t }) => call(t, { deadline: -1 })],
  [`${verb} with a deadline that is no number`, RangeError, ({ t }) => call(t, { deadline: NaN })],
  [`${verb} with a signal that is none`, TypeError, (lab) => call(lab.t, as({ ...lab.call, signal: {} }))],
]);

const BATCHES: readonly Row[] = [
  ["push of no list", TypeError, ({ t, call }) => t.push(as({}), call)],
  ["push of too many", RangeError, ({ t, call }) => t.push(many(t, () => job()), call)],
  [
    "push with an `atomic` that is a word",
    TypeError,
    ({ t, call }) => t.push([job()], as({ ...call, atomic: "no" })),
  ],
  ["extend of no list", TypeError, ({ t, call }) => t.extend(as(undefined), call)],
  ["extend of too many", RangeError, ({ t, call }) => t.extend(many(t, () => lease()), call)],
  ["settle of no list", TypeError, ({ t, call }) => t.settle(as("done"), call)],
  ["settle of too many", RangeError, ({ t, call }) => t.settle(many(t, () => done()), call)],
  ["get of no list", TypeError, ({ t, call }) => t.get(QUEUE, as("1"), call)],
  ["get of too many", RangeError, ({ t, call }) => t.get(QUEUE, many(t, (n) => `${n}`), call)],
  ["get of an id that is no text", TypeError, ({ t, call }) => t.get(QUEUE, as([1]), call)],
];

const LOOKS: readonly Row[] = [
  ["info of a queue without a name", TypeError, ({ t, call }) => t.info("", call)],
  ["info of no text", TypeError, ({ t, call }) => t.info(as(undefined), call)],
  ["list of a queue with a name too long", RangeError, (lab) => page(lab, {}, "waiting", LONG)],
  ["list of a channel that there is not", TypeError, (lab) => page(lab, {}, "done")],
  ["list of a limit of 0", RangeError, (lab) => page(lab, { limit: 0 })],
  ["list of a limit that is no number", RangeError, (lab) => page(lab, { limit: NaN })],
  ["list with a preview below 0", RangeError, (lab) => page(lab, { preview: -1 })],
  ["list with a cursor that no page gave", TypeError, (lab) => page(lab, { cursor: "here, please" })],
  ["list with a cursor that is no text", TypeError, (lab) => page(lab, { cursor: 5 })],
  [
    "list of dead jobs with a cursor that no page gave",
    TypeError,
    (lab) => page(lab, { cursor: "?" }, "failed"),
  ],
  [
    "reload of a channel without dead jobs",
    TypeError,
    ({ t, call }) => t.reload(QUEUE, as("waiting"), "all", { ...call, reset: false }),
  ],
  [
    "reload without saying whether to reset",
    TypeError,
    ({ t, call }) => t.reload(QUEUE, "failed", "all", as(call)),
  ],
  [
    "reload of nothing at all",
    TypeError,
    ({ t, call }) => t.reload(QUEUE, "failed", as(undefined), { ...call, reset: false }),
  ],
  [
    "remove from a channel that there is not",
    TypeError,
    ({ t, call }) => t.remove(QUEUE, as("gone"), "all", call),
  ],
  ["remove of an empty selection", TypeError, (lab) => removal(lab, {})],
  ["remove of a selection that is a word", TypeError, (lab) => removal(lab, "every")],
  ["remove by ids that are no list", TypeError, (lab) => removal(lab, { ids: "1" })],
  ["remove by an id that is no text", TypeError, (lab) => removal(lab, { ids: [1] })],
  ["remove by a word that there is not", TypeError, (lab) => removal(lab, { id: "1" })],
  ["remove by an instant that is none", RangeError, (lab) => removal(lab, { before: NaN })],
];

const TOPICS: readonly Row[] = [
  ["bind to a topic without a name", TypeError, ({ t, call }) => wanted(t.topics?.bind("", "mailer", call))],
  ["bind of a group with an `@`", TypeError, ({ t, call }) => wanted(t.topics?.bind("orders", "a@b", call))],
  [
    "bind of a group that is no text",
    TypeError,
    ({ t, call }) => wanted(t.topics?.bind("orders", as(5), call)),
  ],
  [
    "bind with names too long together",
    RangeError,
    ({ t, call }) => wanted(t.topics?.bind("t".repeat(200), "g".repeat(60), call)),
  ],
  [
    "unbind of a group without a name",
    TypeError,
    ({ t, call }) => wanted(t.topics?.unbind("orders", "", call)),
  ],
  ["groups of a group's queue", TypeError, ({ t, call }) => wanted(t.topics?.groups("orders@a", call))],
  ["bind without a deadline", RangeError, ({ t }) => wanted(t.topics?.bind("orders", "mailer", as({})))],
];

const SCHEDULES: readonly Row[] = [
  ["a schedule for no queue", TypeError, (lab) => put(lab, { queue: "" })],
  ["a schedule without a key", TypeError, (lab) => put(lab, { key: "" })],
  ["a schedule with a tick that is none", RangeError, (lab) => put(lab, { tick: NaN })],
  ["a schedule with a text that is none", TypeError, (lab) => put(lab, { text: undefined })],
  ["a schedule with a payload that is a text", TypeError, (lab) => put(lab, { payload: "x" })],
  [
    "schedules listed by a limit of 0",
    RangeError,
    ({ t, call }) => wanted(t.schedules?.list(QUEUE, { limit: 0 }, call)),
  ],
  [
    "a schedule removed without a key",
    TypeError,
    ({ t, call }) => wanted(t.schedules?.remove(QUEUE, as(5), call)),
  ],
  [
    "a schedule paused by a word",
    TypeError,
    ({ t, call }) => wanted(t.schedules?.pause(QUEUE, "k", as("no"), "", call)),
  ],
  [
    "a schedule paused with a note that is none",
    TypeError,
    ({ t, call }) => wanted(t.schedules?.pause(QUEUE, "k", true, as(5), call)),
  ],
  ["a schedule in the place of one of no instant", RangeError, (lab) => put(lab, { from: NaN })],
  ["a schedule got without a key", TypeError, ({ t, call }) => wanted(t.schedules?.get(QUEUE, "", call))],
  ["due schedules of a limit of 0", RangeError, ({ t, call }) => wanted(t.schedules?.due([QUEUE], 0, call))],
  ["due schedules of no list", TypeError, ({ t, call }) => wanted(t.schedules?.due(as(QUEUE), 1, call))],
  [
    "a schedule moved on from no instant",
    RangeError,
    ({ t, call }) => wanted(t.schedules?.advance(QUEUE, "k", NaN, 1, undefined, call)),
  ],
  [
    "a schedule moved on to no instant",
    RangeError,
    ({ t, call }) => wanted(t.schedules?.advance(QUEUE, "k", 1, Infinity, undefined, call)),
  ],
  [
    "a schedule moved on with a job that is wrong",
    RangeError,
    ({ t, call }) => wanted(t.schedules?.advance(QUEUE, "k", 1, 2, job({ delay: NaN }), call)),
  ],
];

/** Jobs of a batch that are refused alone. */
const JOBS: readonly (readonly [wrong: string, refusal: Refusal, part: object])[] = [
  ["a delay that is no number", RangeError, { delay: NaN }],
  ["a delay without end", RangeError, { delay: Infinity }],
  ["a delay below 0", RangeError, { delay: -1 }],
  ["a delay that is a text", RangeError, { delay: "5" }],
  ["an instant that is none", RangeError, { at: NaN }],
  ["an instant that no date can be", RangeError, { at: 9e15 }],
  ["a window that is no number", RangeError, { idWindow: NaN }],
  ["a window below 0", RangeError, { idWindow: -1 }],
  ["no id", TypeError, { id: "" }],
  ["an id that is no text", TypeError, { id: 5 }],
  ["an id too long", RangeError, { id: "i".repeat(1_025) }],
  ["an id of half a surrogate pair", TypeError, { id: HALF }],
  ["no name", TypeError, { name: "" }],
  ["a name that is no text", TypeError, { name: undefined }],
  ["a name too long", RangeError, { name: LONG }],
  ["no queue", TypeError, { queue: "" }],
  ["a queue too long", RangeError, { queue: LONG }],
  ["a payload that is a text", TypeError, { payload: "text" }],
  ["no payload", TypeError, { payload: undefined }],
  ["metadata that is no text", TypeError, { meta: { v: 1 } }],
];

/** Settlements of a held job that are refused, and leave it held. */
const ENDINGS: readonly (readonly [wrong: string, refusal: Refusal, part: object])[] = [
  ["an ending that there is not", TypeError, { to: "gone" }],
  ["no ending", TypeError, {}],
  ["a token that is no text", TypeError, { to: "done", token: 5 }],
  ["a queue that is no text", TypeError, { to: "done", queue: undefined }],
  ["again without metadata", TypeError, { to: "again" }],
  ["again with a delay that is no number", RangeError, { to: "again", meta: "m", delay: NaN }],
  ["again at an instant that is none", RangeError, { to: "again", meta: "m", at: NaN }],
  ["again with a payload that is a text", TypeError, { to: "again", meta: "m", payload: "x" }],
  ["failed without metadata", TypeError, { to: "failed", reason: "r" }],
  ["failed without a reason", TypeError, { to: "failed", meta: "m" }],
  ["timeout with a reason that is no text", TypeError, { to: "timeout", meta: "m", reason: 5 }],
];

const LEASES: readonly (readonly [wrong: string, refusal: Refusal, part: object])[] = [
  ["a time that is no number", RangeError, { ms: NaN }],
  ["a time without end", RangeError, { ms: Infinity }],
  ["a time below 0", RangeError, { ms: -1 }],
  ["a token that is no text", TypeError, { token: 5 }],
];

function many<T>({ limits }: Transport, make: (n: number) => T): readonly T[] {
  return Array.from({ length: limits.bulk + 1 }, (_, n) => make(n));
}

function lease(): Extension {
  return { queue: QUEUE, token: "none", ms: 1_000 };
}

function done(): Settlement {
  return { queue: QUEUE, token: "none", to: "done" };
}

function page({ t, call }: Lab, part: object, channel = "waiting", queue: string = QUEUE): Promise<unknown> {
  return t.list(queue, as(channel), as({ limit: 1, preview: 0, ...part }), call);
}

function removal({ t, call }: Lab, select: unknown): Promise<unknown> {
  return t.remove(QUEUE, "failed", as(select), call);
}

function put({ t, call }: Lab, part: object): Promise<unknown> {
  const schedule = { queue: QUEUE, key: "k", tick: 1, text: "{}", payload: bytes("x"), ...part };
  return wanted(t.schedules?.put(schedule, call));
}

function wanted(answer: Promise<unknown> | undefined): Promise<unknown> {
  return answer ?? Promise.resolve("no such ability");
}

function refused(reason: unknown, refusal: Refusal, what: string): void {
  ok(reason instanceof refusal, `${what}: a ${refusal.name}, found ${String(reason)}`);
}

/** The calls of a table are each refused, whether or not something is there to be found. */
function table(name: string, rows: readonly Row[], ...needs: readonly Need[]): Claim {
  return claim(name, async (lab) => {
    await lab.push({ id: "there" });
    for (const [wrong, refusal, call] of rows) refused(await rejects(call(lab), wrong), refusal, wrong);
    await lab.holds(counted({ waiting: 1 }), "what was there");
  }, ...needs);
}

async function refusesJobs(lab: Lab): Promise<void> {
  const batch = JOBS.flatMap(([, , part], n) => [job({ id: `fit-${n}` }), { ...job(), ...part }]);
  const answers = await lab.t.push(as<readonly PushJob[]>(batch), lab.call);
  equal(answers.length, batch.length, "answers");
  JOBS.forEach(([wrong, refusal], n) => {
    equal(answers[2 * n], "stored", `the job before the one with ${wrong}`);
    refused(answers[2 * n + 1], refusal, `a job with ${wrong}`);
  });
  await lab.holds(counted({ waiting: JOBS.length }), "what was stored");
}

async function refusesAtomic(lab: Lab): Promise<void> {
  for (const [wrong, refusal, part] of JOBS) {
    const batch = as<readonly PushJob[]>([job(), { ...job(), ...part }]);
    const [first, second] = await lab.t.push(batch, { ...lab.call, atomic: true });
    equal(first, "withheld", `the job beside one with ${wrong}`);
    refused(second, refusal, `a job with ${wrong}`);
  }
  await lab.holds(counted(), "what was stored");
}

async function refusesEndings(lab: Lab): Promise<void> {
  await lab.push({ id: "held" }, { id: "other" });
  const [held, other] = await lab.take(2);
  if (held === undefined || other === undefined) return ok(false, "two deliveries");
  const { queue, token } = held;
  for (const [wrong, refusal, part] of ENDINGS) {
    const batch = as<readonly Settlement[]>([{ queue, token, ...part }, { ...lease(), to: "done" }]);
    const [answer, next] = await lab.t.settle(batch, lab.call);
    refused(answer, refusal, wrong);
    equal(next, "stale", `the settlement after ${wrong}`);
  }
  for (const [wrong, refusal, part] of LEASES) {
    const batch = as<readonly Extension[]>([{ queue, token, ms: lab.long, ...part }]);
    const [answer] = await lab.t.extend(batch, lab.call);
    refused(answer, refusal, wrong);
  }
  await lab.holds(counted({ reserved: 2 }), "what is held");
  equal(await lab.settle(held, { to: "done" }), "settled", "the job that was held");
  equal(await lab.settle(other, { to: "done" }), "settled", "the other one");
}

async function refusesWithin(lab: Lab): Promise<void> {
  const { transactions } = lab.t;
  const begun = await lab.subject.transaction?.(lab.store);
  if (transactions === undefined || begun === undefined) return ok(false, "transactions");
  const [fit, unfit] = await transactions.push(begun.handle, [job(), job({ delay: NaN })], lab.call);
  equal(fit, "stored", "the job that is fit");
  refused(unfit, RangeError, "a delay that is no number");
  const [answer] = await transactions.settle(begun.handle, as([{ ...done(), to: "gone" }]), lab.call);
  refused(answer, TypeError, "an ending that there is not");
  const rows: readonly (readonly [string, Refusal, Promise<unknown>])[] = [
    ["no transaction", TypeError, transactions.push(as(undefined), [job()], lab.call)],
    ["no list", TypeError, transactions.push(begun.handle, as(5), lab.call)],
    ["no deadline", RangeError, transactions.settle(begun.handle, [], as({}))],
  ];
  for (const [wrong, refusal, call] of rows) refused(await rejects(call, wrong), refusal, wrong);
  await begun.commit();
  await lab.holds(counted({ waiting: 1 }), "what was stored");
}

export const WRONG_INPUT: readonly Claim[] = [
  table("a reserve that asks for what cannot be is refused", RESERVES),
  table("a call without sound bounds is refused", BOUNDS),
  table("a batch that is none, or too large, is refused whole", BATCHES),
  table("an operator's call that makes no sense is refused", LOOKS),
  table("a topic or group that cannot be is refused", TOPICS, "topics"),
  table("a schedule that cannot be is refused", SCHEDULES, "schedules"),
  claim("a job that is wrong is refused alone, and its neighbours are stored", refusesJobs),
  claim("a job that is wrong keeps its whole atomic batch from being stored", refusesAtomic, "atomicPush"),
  claim("a settlement or extension that is wrong is refused alone, and the job stays held", refusesEndings),
  claim(
    "wrong input inside a transaction is refused, and the rest becomes true",
    refusesWithin,
    "transaction",
  ),
];
