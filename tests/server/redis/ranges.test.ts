/** Ids that no index has, as a range covers them: each job is found by its id all the same, and ranges do not pile up. */
import { describe, expect, test } from "vitest";
import type { PushJob } from "../../../src/jobs/exchange.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, one, scene, take } from "./model_support.ts";

const { open, send } = scene();
const BASE = "{relevo:q}:";
const TIME = "01M8MKXAW";

/** As generated ids are: 26 letters, the first of which are the time. */
function idOf(n: number, time = TIME): string {
  return time + String(n).padStart(26 - time.length, "0");
}

function jobs(count: number, first = 0, part: Partial<PushJob> = {}): PushJob[] {
  return Array.from({ length: count }, (_, n) => job(idOf(first + n), part));
}

/** A client whose rights are known, so that plain jobs go the short way. */
async function ready(): Promise<Transport> {
  const transport = open();
  await transport.push([job("first")], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  return transport;
}

async function found(transport: Transport, ids: readonly string[]): Promise<readonly string[]> {
  return (await transport.get("q", ids, call)).flatMap((entry) => entry === undefined ? [] : [entry.id]);
}

/** The first field of a covered job and its value, in both of their forms. */
function headOf(id: string): readonly [string, string] {
  return ["relevo~", `${id}\nn\n`];
}

function namedHeadOf(id: string): readonly [string, string] {
  return ["relevo~n", `${id}\n`];
}

function idsOf(list: readonly PushJob[]): readonly string[] {
  return list.map(({ id }) => id);
}

test("jobs with generated ids take no place in the index of ids, and each is found in whatever channel it is", async () => {
  const transport = await ready();
  const list = jobs(300);
  await transport.push(list, call);
  expect(await send("HLEN", `${BASE}ids`)).toBe(0);
  expect(await send("GET", `${BASE}covered`)).toBe("300");
  expect(await found(transport, idsOf(list))).toEqual(idsOf(list));
  const taken = await take(transport, 100);
  const channels = (await transport.get("q", idsOf(list), call)).map((entry) => entry?.channel);
  expect(channels.filter((channel) => channel === "reserved").length).toBe(taken.length);
  const settled = await transport.settle(
    taken.map((each, n) =>
      n % 4 === 0
        ? { ...held(each), to: "done" }
        : n % 4 === 1
        ? { ...held(each), to: "again", meta: "m" }
        : n % 4 === 2
        ? { ...held(each), to: "failed", meta: "m", reason: "r" }
        : { ...held(each), to: "release" }
    ),
    call,
  );
  expect(new Set(settled)).toEqual(new Set(["settled"]));
  const done = new Set(taken.flatMap(({ id }, n) => n % 4 === 0 ? [id] : []));
  expect(await found(transport, idsOf(list))).toEqual(idsOf(list).filter((id) => !done.has(id)));
  const covered = 300 - taken.length + taken.filter((_, n) => n % 4 === 3).length;
  expect(await send("GET", `${BASE}covered`)).toBe(String(covered));
});

test("with the last of its jobs a stream's ranges are gone, whether they were done or removed", async () => {
  const transport = await ready();
  for (const end of ["done", "remove", "removed by id"] as const) {
    await transport.push(jobs(40), call);
    expect(await send("ZCARD", `${BASE}ranges`)).toBe(1);
    if (end === "done") {
      const taken = [...await take(transport, 40), ...await take(transport, 40)];
      await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
    } else {
      const chosen = end === "remove" ? "all" : { ids: idsOf(jobs(40)) };
      expect(await transport.remove("q", "waiting", chosen, call)).toBe(40);
    }
    expect(await send("EXISTS", `${BASE}ranges`, `${BASE}covered`, `${BASE}ids`)).toBe(0);
  }
});

/** Batches whose ids are not one run. */
const ODD: Readonly<Record<string, readonly PushJob[]>> = {
  "out of order": [...jobs(60)].reverse(),
  "shuffled": [...jobs(200)].sort((a, b) => Number(a.id) - Number(b.id) || hash(a.id) - hash(b.id)),
  "over hours": Array.from({ length: 60 }, (_, n) => job(idOf(n, `01M8M${String(n).padStart(4, "0")}`))),
  "of two seconds": [...jobs(30), ...jobs(30).map(({ id }) => job(id.replace(TIME, "01M8MKXBW")))],
  "of other lengths among them": jobs(40).map(({ id }, n) => job(n % 9 === 8 ? `short-${n}` : id)),
};

function hash(text: string): number {
  return createRandom([...text].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0), 7) >>> 0)();
}

for (const [how, list] of Object.entries(ODD)) {
  test(`of a batch with ids ${how} each job is found, and none is when all are done`, async () => {
    const transport = await ready();
    await transport.push(list, call);
    expect(await found(transport, idsOf(list))).toEqual(idsOf(list));
    for (let left = list.length; left > 0;) {
      const taken = await take(transport, 500);
      left -= taken.length;
      await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
    }
    expect(await found(transport, idsOf(list))).toEqual([]);
    expect(await send("EXISTS", `${BASE}ranges`, `${BASE}covered`, `${BASE}ids`)).toBe(0);
  });
}

test("ranges whose jobs are gone go while an older job stays, however many calls there are", async () => {
  const transport = await ready();
  await transport.push([job("stays")], call);
  const stays = await one(transport);
  for (let n = 0; n < 200; n++) {
    await transport.push(jobs(10, 10 * n), call);
    for (let left = 10; left > 0;) {
      const taken = await take(transport, 10);
      left -= taken.length;
      await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
    }
  }
  expect(await send("ZCARD", `${BASE}ranges`)).toBeLessThan(40);
  expect(await transport.settle([{ ...held(stays), to: "done" }], call)).toEqual(["settled"]);
});

test("an id of a covered job is taken, and free once the job is done", async () => {
  const transport = await ready();
  await transport.push(jobs(20), call);
  const again = [job(idOf(7), { idWindow: 0 })];
  expect(await transport.push(again, call)).toEqual(["duplicate"]);
  for (let left = 20; left > 0;) {
    const taken = await take(transport, 20);
    left -= taken.length;
    await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
  }
  expect(await transport.push(again, call)).toEqual(["stored"]);
});

test("a job of another program is found by its own id beside covered jobs", async () => {
  const transport = await ready();
  await transport.push(jobs(20), call);
  await send("XADD", `${BASE}waiting`, "*", "id", "theirs", "payload", "{}");
  await send("XADD", `${BASE}waiting`, "*", "id", idOf(99), "payload", "{}");
  expect(await found(transport, ["theirs", idOf(99), "none"])).toEqual(["theirs", idOf(99)]);
});

test("where ranges or their count were deleted jobs are handled, and the count heals with the last of them", async () => {
  const transport = await ready();
  await transport.push(jobs(20), call);
  await send("DEL", `${BASE}ranges`, `${BASE}covered`);
  await transport.push(jobs(20, 20), call);
  const seen = [];
  for (let more = await take(transport, 40); more.length > 0; more = await take(transport, 40)) {
    seen.push(...more);
    await transport.settle(more.map((each) => ({ ...held(each), to: "done" })), call);
  }
  expect(seen.map(({ id }) => id)).toEqual(idsOf(jobs(40)));
  expect(await send("EXISTS", `${BASE}ranges`, `${BASE}covered`)).toBe(0);
});

describe("a range", () => {
  const NUMBERS: Readonly<Record<string, (n: number) => string>> = {
    "of one millisecond": (n) => `1000-${n}`,
    "of several milliseconds": (n) => `${1000 + 3 * Math.floor(n / 17)}-${n % 17}`,
    "of a millisecond each": (n) => `${1000 + n}-0`,
    "numbered in nanoseconds": (n) => `1763700000000000000-${n}`,
  };
  for (const [how, number] of Object.entries(NUMBERS)) {
    test(`${how} has holes where jobs are done, and the others are found`, async () => {
      const transport = open();
      for (let n = 0; n < 60; n++) {
        const head = n % 2 === 0 ? headOf : namedHeadOf;
        await send("XADD", `${BASE}waiting`, number(n), ...head(idOf(n)), "payload", "{}");
      }
      await send("ZADD", `${BASE}ranges`, 0, `${idOf(0)} ${idOf(59)} ${number(0)} ${number(59)}`);
      await send("SET", `${BASE}covered`, 60);
      const all = Array.from({ length: 60 }, (_, n) => idOf(n));
      expect(await found(transport, all)).toEqual(all);
      for (let n = 0; n < 60; n++) if (n % 7 !== 3) await send("XDEL", `${BASE}waiting`, number(n));
      expect(await found(transport, all)).toEqual(all.filter((_, n) => n % 7 === 3));
    });
  }
});
