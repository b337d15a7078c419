/**
 * Entries that another program put in, with anything in their fields: none may end a worker or an operator's call, and
 * each ends dead with a reason, or runs where its fields do no harm.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import { deadLetter, reschedule } from "../../jobs/outcome.ts";
import { createRelay, type Relay } from "../../relay/relay.ts";
import { after } from "../../jobs/schedule.ts";
import type { StandardSchema } from "../../payload/schema.ts";
import type { Transport } from "../../contract/transport.ts";
import { ClaimError, equal, ok } from "./assert.ts";
import { type Claim, claim } from "./claim.ts";
import { bytes, counted, type Lab, QUEUE } from "./lab.ts";
import type { ForeignEntry } from "./subject.ts";

/** The fate of an entry: its handler runs, or it is dead with this reason, or with any. */
type Fate = "runs" | "undecodable" | "unknown" | "dead";

/** An entry in words, its meaning, and its fate. */
type Row = readonly [what: string, says: Partial<ForeignEntry>, fate: Fate];

const anything: StandardSchema<unknown> = {
  "~standard": { version: 1, vendor: "relevo", validate: (value) => ({ value }) },
};
const JOBS = {
  [QUEUE]: { schema: anything, queue: QUEUE },
  "seen twice": { schema: anything, queue: QUEUE },
};
/** Levels of nesting that a call of itself for each does not survive. */
const DEEP = 10_000;
const GOOD = "good";

function deep(levels: number): string {
  return `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
}

function lists(levels: number): string {
  return `${"[".repeat(levels)}${"]".repeat(levels)}`;
}

function meta(fields: string): Partial<ForeignEntry> {
  return { meta: `{"v":1,${fields}}` };
}

/** Metadata that is none, or that decides the fate of its job and makes no sense. */
const NONSENSE: readonly Row[] = [
  ["no JSON", { meta: "not json" }, "undecodable"],
  ["null", { meta: "null" }, "undecodable"],
  ["a list", { meta: "[1]" }, "undecodable"],
  ["a list of itself 10,000 deep", { meta: lists(DEEP) }, "undecodable"],
  ["no version", { meta: '{"attempts":1}' }, "undecodable"],
  ["a version that is a text", { meta: '{"v":"1"}' }, "undecodable"],
  ["a version below the first", { meta: '{"v":-1}' }, "undecodable"],
  ["objects 10,000 deep", meta(`"x":${deep(DEEP)}`), "undecodable"],
  ["objects 100 deep", meta(`"x":${deep(100)}`), "undecodable"],
  ["headers that are objects 10,000 deep", meta(`"headers":{"h":${deep(DEEP)}}`), "undecodable"],
  ["an error that is objects 10,000 deep", meta(`"lastError":${deep(DEEP)}`), "undecodable"],
  ["a megabyte", meta(`"x":"${"x".repeat(1_000_000)}"`), "undecodable"],
  ["half an attempt", meta('"attempts":0.5'), "undecodable"],
  ["attempts below 0", meta('"attempts":-1'), "undecodable"],
  ["attempts as a text", meta('"attempts":"2"'), "undecodable"],
  ["attempts beyond counting", meta('"attempts":1e300'), "undecodable"],
  ["attempts of which one more is no whole number", meta('"attempts":9007199254740991'), "undecodable"],
  ["losses of which one more is no whole number", meta('"lost":9007199254740991'), "undecodable"],
  ["attempts that are null", meta('"attempts":null'), "undecodable"],
  ["losses as a list", meta('"lost":[1]'), "undecodable"],
  ["no attempt at most", meta('"maxAttempts":0'), "undecodable"],
  ["half an attempt at most", meta('"maxAttempts":0.5'), "undecodable"],
  ["a timeout below 0", meta('"timeout":-1'), "undecodable"],
  ["a timeout without end", meta('"timeout":1e999'), "undecodable"],
  ["a date as a text", meta('"createdAt":"yesterday"'), "undecodable"],
  ["a date beyond the calendar", meta('"createdAt":1e300'), "undecodable"],
  ["a codec that is a number", meta('"codec":5'), "undecodable"],
];

/** Metadata whose fault decides nothing, or that was never heard of. */
const HARMLESS: readonly Row[] = [
  ["headers that are a list", meta('"headers":["x"]'), "runs"],
  ["headers that are no texts", meta('"headers":{"a":5,"b":{"c":1},"d":"text","__proto__":"x"}'), "runs"],
  ["a request's id that is a number", meta('"requestId":5'), "runs"],
  ["a request's id with half a surrogate pair", meta('"requestId":"\\ud800"'), "runs"],
  ["an error that is a text", meta('"lastError":"text"'), "runs"],
  ["an error whose message is an object", meta('"lastError":{"name":1,"message":{}}'), "runs"],
  ["a death that is none", meta('"dead":{"channel":"failed","reason":5}'), "runs"],
  ["a backoff that is none", meta('"backoff":{"type":{"x":1},"base":"1"}'), "runs"],
  ["a field from the future", meta('"fromTheFuture":{"deep":[1,{"er":2}]}'), "runs"],
  ["no metadata", { meta: "" }, "runs"],
];

/** Names, ids and payloads of any kind. */
const FIELDS: readonly Row[] = [
  ["an id of 10 KB", { id: "i".repeat(10_000) }, "runs"],
  ["an id of line breaks and quotes", { id: "a\n\"'`b" }, "runs"],
  ["a name of 10 KB", { name: "n".repeat(10_000) }, "dead"],
  ["the name of a property that every object has", { name: "__proto__" }, "unknown"],
  ["the name 'constructor'", { name: "constructor" }, "unknown"],
  ["a codec that every object has", meta('"codec":"toString"'), "unknown"],
  ["an empty payload", { payload: new Uint8Array() }, "runs"],
  ["a payload that is no UTF-8", { payload: Uint8Array.of(0xff, 0xfe) }, "undecodable"],
  ["a payload of lists 10,000 deep", { payload: bytes(lists(DEEP)) }, "runs"],
];

/** A relay whose handler counts its runs of each id. */
interface Ward {
  readonly relay: Relay<typeof JOBS>;
  readonly ran: string[];
}

function open(lab: Lab): Ward {
  const transport: Transport = lab.t;
  const relay = createRelay({ jobs: JOBS, transport, log: false, runtime: lab.subject.runtime?.() });
  const ran: string[] = [];
  relay.handle(QUEUE, (_, { job, attempt }) => {
    ok(Number.isInteger(attempt) && attempt > 0, "a whole number of the attempt");
    equal(
      Object.values(job.headers).filter((text) => typeof text !== "string"),
      [],
      "headers that are no texts",
    );
    ran.push(job.id);
  });
  return { relay, ran };
}

/** The result of a call, while time goes by. */
function soon<T>(lab: Lab, promise: Promise<T>, what: string): Promise<T> {
  const told = promise.catch((reason: unknown) => {
    throw new ClaimError(`${what}: wanted an answer, found ${messageOf(reason)}`);
  });
  return lab.within(told, lab.ms(20_000), what);
}

/** Looks at all that an operator can look at; returns how many jobs the channels show. */
async function look(lab: Lab, { relay }: Ward): Promise<number> {
  let found = 0;
  for (const channel of ["waiting", "failed"] as const) {
    const { jobs } = await soon(lab, relay.list(QUEUE, channel), `list ${channel}`);
    found += jobs.length;
    for (const { id } of jobs) {
      ok(
        (await soon(lab, relay.get(QUEUE, id), `get from ${channel}`))?.id === id,
        "the job that was asked for",
      );
    }
  }
  const { waiting, failed } = await soon(lab, relay.info(QUEUE), "info");
  equal(waiting + failed, found, "jobs that info counts");
  return found;
}

async function work(lab: Lab, { relay }: Ward): Promise<void> {
  await soon(lab, relay.drain({ unknown: "dead", maxRetry: 1 }), "drain");
}

/** Characters of metadata that a store must take: where it is a header line that may have 64 KB, quotes escaped. */
const MUST_TAKE = 30_000;

/** Puts an entry in; false where the store refuses one of its name, its id, its payload or its size. */
async function inject(lab: Lab, says: Partial<ForeignEntry>): Promise<boolean> {
  try {
    await lab.subject.inject?.(lab.store, { queue: QUEUE, payload: bytes("1"), ...says });
    return true;
  } catch (reason) {
    if (says.meta !== undefined && says.meta.length < MUST_TAKE) throw reason;
    return false;
  }
}

/** One entry's whole life: seen, met by a worker, seen again, brought back, met again, removed. */
async function survive(lab: Lab, ward: Ward, [what, says, fate]: Row): Promise<void> {
  const { relay, ran } = ward;
  ran.length = 0;
  if (!await inject(lab, says)) return;
  await lab.push({ id: GOOD, name: QUEUE, payload: bytes("1"), meta: "" });
  equal(await look(lab, ward), 2, `${what}: jobs before`);
  await work(lab, ward);
  ok(ran.includes(GOOD), `${what}: the next job is handled`);
  equal(ran.length, fate === "runs" ? 2 : 1, `${what}: jobs that were handled`);
  const { jobs } = await soon(lab, relay.list(QUEUE, "failed"), "list");
  const reasons = jobs.map(({ dead }) => fate === "dead" ? fate : dead?.reason);
  equal(reasons, fate === "runs" ? [] : [fate], `${what}: reasons of the dead`);
  equal(await look(lab, ward), jobs.length, `${what}: jobs afterwards`);
  if (jobs.length > 0) {
    const back = await soon(lab, relay.reload(QUEUE, "failed", "all"), "reload");
    equal(back.reloaded, 1, `${what}: jobs that were brought back`);
    await work(lab, ward);
  }
  const ids = (await soon(lab, relay.list(QUEUE, "failed"), "list")).jobs.map(({ id }) => id);
  const removed = await soon(lab, relay.remove(QUEUE, "failed", { ids }), "remove");
  equal(removed, ids.length, `${what}: jobs that were removed`);
  await lab.holds(counted(), `${what}: info at the end`);
}

async function surviveAll(lab: Lab, rows: readonly Row[]): Promise<void> {
  const ward = open(lab);
  // The queue is there before the first entry: not every transport has it from an entry alone.
  await lab.push({ id: GOOD, name: QUEUE, payload: bytes("1"), meta: "" });
  await work(lab, ward);
  for (const row of rows) await survive(lab, ward, row);
  await soon(lab, ward.relay.close(), "close");
}

/** All at once: no entry keeps another from its end. */
async function together(lab: Lab): Promise<void> {
  const ward = open(lab);
  const rows: Row[] = [];
  await lab.push({ id: GOOD, name: QUEUE, payload: bytes("1"), meta: "" });
  for (const row of [...NONSENSE, ...HARMLESS, ...FIELDS]) if (await inject(lab, row[1])) rows.push(row);
  await work(lab, ward);
  const dead = rows.filter(([, , fate]) => fate !== "runs").length;
  equal(ward.ran.length, 1 + rows.length - dead, "jobs that were handled");
  await lab.holds(counted({ failed: dead }), "info");
  equal(await soon(lab, ward.relay.remove(QUEUE, "failed", "all"), "remove"), dead, "jobs that were removed");
  await soon(lab, ward.relay.close(), "close");
}

/** A field that this version does not know is there again when its job comes back, and when it is dead. */
async function unknownFields(lab: Lab): Promise<void> {
  const { relay } = open(lab);
  let runs = 0;
  relay.handle("seen twice", () => ++runs === 1 ? reschedule(after(0)) : deadLetter({ reason: "seen" }));
  await lab.push({ id: GOOD, name: QUEUE, payload: bytes("1"), meta: "" });
  const said = { deep: [1, { er: "2" }] };
  const meta = JSON.stringify({ v: 1, fromTheFuture: said });
  await inject(lab, { id: "theirs", name: "seen twice", meta });
  for (let n = 0; n < 2; n++) await soon(lab, relay.drain(), "drain");
  equal(runs, 2, "runs");
  const { fromTheFuture, attempts } = JSON.parse((await lab.entry("theirs"))?.meta ?? "{}");
  equal([fromTheFuture, attempts], [said, 1], "the unknown field, and the attempts");
  await soon(lab, relay.close(), "close");
}

async function noPayload(lab: Lab): Promise<void> {
  const ward = open(lab);
  await lab.push({ id: GOOD, name: QUEUE, payload: bytes("1"), meta: "" });
  await work(lab, ward);
  await survive(lab, ward, ["no payload", { payload: undefined }, "undecodable"]);
  await soon(lab, ward.relay.close(), "close");
}

/** The cases of the group. */
export const FOREIGN: readonly Claim[] = [
  claim(
    "no metadata that makes no sense ends a worker or an operator's call",
    (lab) => surviveAll(lab, NONSENSE),
    "inject",
  ),
  claim("a wrong field that decides nothing costs no run", (lab) => surviveAll(lab, HARMLESS), "inject"),
  claim(
    "no name, id or payload ends a worker or an operator's call",
    (lab) => surviveAll(lab, FIELDS),
    "inject",
  ),
  claim(
    "an entry without a payload is dead as undecodable, and no handler sees it",
    noPayload,
    "inject",
    "bare",
  ),
  claim("hostile entries side by side all come to their ends", together, "inject"),
  claim("fields of a record that are not known survive another run and a death", unknownFields, "inject"),
];
