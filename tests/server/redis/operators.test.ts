/** What operators and other programs do to the keys by hand: it may cost what they removed, and nothing else. */
import { Buffer } from "node:buffer";
import { expect, test, vi } from "vitest";
import type { PushJob, Settlement } from "../../../src/jobs/exchange.ts";
import { systemRuntime } from "../../../src/runtime.ts";
import { call, held, job, one, scene, take, text } from "./model_support.ts";

const { open, send } = scene();
const STREAM = "{relevo:q}:waiting";

const ENDINGS: Readonly<Record<string, (named: { queue: string; token: string }) => Settlement>> = {
  done: (named) => ({ ...named, to: "done" }),
  again: (named) => ({ ...named, to: "again", meta: "m" }),
  failed: (named) => ({ ...named, to: "failed", meta: "m", reason: "r" }),
};

async function firstEntry(): Promise<string> {
  const [entry] = await send("XRANGE", STREAM, "-", "+", "COUNT", 1) as readonly (readonly [string])[];
  if (entry === undefined) throw new Error("The stream is empty");
  return entry[0];
}

for (const [form, ending] of Object.entries(ENDINGS)) {
  test(`a job whose entry was deleted while it ran, settled '${form}', leaves nothing, and its id is free`, async () => {
    const transport = open();
    await transport.push([job("1", { idWindow: 0 }), job("2")], call);
    const [first, second] = await take(transport, 2);
    if (first === undefined || second === undefined) throw new Error("Fewer jobs than pushed");
    await send("XDEL", STREAM, await firstEntry());
    const results = await transport.settle([ending(held(first)), ending(held(second))], call);
    expect(results[1]).toBe("settled");
    expect(await transport.push([job("1", { idWindow: 0 })], call)).toEqual(["stored"]);
    expect((await transport.get("q", ["1"], call))[0]?.channel).toBe("waiting");
    expect((await transport.info("q", call)).reserved).toBe(0);
  });
}

test("an id whose waiting entry was deleted or trimmed is free, and the new job keeps it", async () => {
  const transport = open();
  await transport.push([job("1", { idWindow: 0 })], call);
  await send("XTRIM", STREAM, "MAXLEN", 0);
  expect(await transport.get("q", ["1"], call)).toEqual([undefined]);
  expect(await transport.push([job("1", { idWindow: 0 })], call)).toEqual(["stored"]);
  expect(await transport.push([job("1", { idWindow: 0 })], call)).toEqual(["duplicate"]);
});

test("entries that are pending but deleted are forgotten when their lease ends, and stop nobody", async () => {
  const transport = open();
  await transport.push([job("1"), job("2")], call);
  await take(transport, 2, { lease: 50 });
  await send("XDEL", STREAM, await firstEntry());
  const back = await vi.waitFor(() => one(transport), { timeout: 30_000, interval: 10 });
  expect([back.id, back.lost]).toEqual(["2", 1]);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, reserved: 1 });
});

test("a group that was destroyed is made again from the beginning: what ran comes again, and nothing is lost", async () => {
  const transport = open();
  await transport.push([job("1"), job("2")], call);
  const first = await one(transport);
  await send("XGROUP", "DESTROY", STREAM, "relevo");
  expect(await transport.settle([{ ...held(first), to: "done" }], call)).toEqual(["stale"]);
  expect(await transport.extend([{ ...held(first), ms: 1_000 }], call)).toEqual([{ state: "stale" }]);
  expect((await transport.info("q", call)).waiting).toBe(2);
  expect((await take(open(), 5)).map(({ id }) => id)).toEqual(["1", "2"]);
});

test("FLUSHALL and SCRIPT FLUSH at any moment: the next push is stored, listed and handed over", async () => {
  const transport = open();
  await transport.push([job("1"), job("2", { delay: 60_000 })], call);
  const before = await one(transport);
  const waiting = transport.reserve(["q"], { limit: 1, slots: 1, lease: 1_000, wait: 15_000, ...call });
  await send("FLUSHALL");
  await send("SCRIPT", "FLUSH");
  expect(await transport.settle([{ ...held(before), to: "failed", meta: "", reason: "r" }], call)).toEqual([
    "stale",
  ]);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, delayed: 0, failed: 0 });
  await transport.push([job("3")], call);
  expect((await waiting).map(({ id }) => id)).toEqual(["3"]);
  expect(await transport.queues(call)).toEqual(["q"]);
});

test("a lost 'next' is found again: what is due comes, and so do lost leases", async () => {
  const transport = open();
  await transport.push([job("1"), job("2", { delay: 30 })], call);
  await one(transport, { lease: 30 });
  await send("DEL", "{relevo:q}:next", "{relevo:q}:leases");
  const seen = new Set<string>();
  await vi.waitFor(async () => {
    for (const { id } of await take(transport, 5)) seen.add(id);
    expect([...seen].sort()).toEqual(["1", "2"]);
  }, { timeout: 30_000, interval: 10 });
});

const KEYS = ["waiting", "ids", "failed"] as const;

/** What makes a queue useful for a verb, and the verb. */
const CORRUPTED: readonly (readonly [part: string, verb: string, jobs: readonly PushJob[]])[] = [
  ["waiters", "push", [job("2")]],
  ["waiters", "push", [job("2", { delay: 60_000 })]],
  ["next", "push", [job("2", { delay: 60_000 })]],
  ["waiters", "again", [job("1")]],
  ["next", "again", [job("1")]],
  ["waiters", "reload", [job("1")]],
  ["dead", "reload", [job("1")]],
  ["due", "push", [job("2", { delay: 60_000 })]],
];

for (const [part, verb, jobs] of CORRUPTED) {
  const delayed = jobs[0]?.delay === undefined ? "" : " of a delayed job";
  test(`a '${verb}'${delayed} that a key of another type in place of '${part}' refuses changed nothing`, async () => {
    const transport = open();
    const settlement: { settle?: Settlement } = {};
    if (verb !== "push") await transport.push(jobs, call);
    if (verb === "again" || verb === "reload") {
      const named = held(await one(transport));
      if (verb === "again") settlement.settle = { ...named, to: "again", meta: "m", delay: 60_000 };
      else await transport.settle([{ ...named, to: "failed", meta: "m", reason: "r" }], call);
    }
    await send("DEL", `{relevo:q}:${part}`);
    await send("SADD", `{relevo:q}:${part}`, "in the way");
    const counts = (): Promise<unknown[]> =>
      Promise.all(["waiting", "delayed", "failed"].map((stream) => send("XLEN", `{relevo:q}:${stream}`)));
    const before = await counts();
    const run = async (): Promise<unknown> => {
      if (verb === "push") return (await transport.push(jobs, call))[0];
      if (verb === "reload") return await transport.reload("q", "failed", "all", { ...call, reset: false });
      if (settlement.settle !== undefined) return (await transport.settle([settlement.settle], call))[0];
      return await take(transport);
    };
    expect(await run().catch((error: unknown) => error)).toMatchObject({ code: "TRANSPORT_CORRUPT" });
    expect(await counts()).toEqual(before);
  });
}

for (const part of KEYS) {
  test(`a key of another type in place of '${part}' is said to be one, and the other queues go on`, async () => {
    const transport = open();
    if (part === "failed") await transport.push([job("1")], call);
    const running = part === "failed" ? await one(transport) : undefined;
    await send("SET", `{relevo:q}:${part}`, "in the way");
    if (running === undefined) {
      const results = await transport.push([job("1"), job("2", { queue: "other" })], call);
      expect(results[0]).toMatchObject({ code: "TRANSPORT_CORRUPT" });
      expect(results[1]).toBe("stored");
      expect(await send("GET", `{relevo:q}:${part}`)).toBe("in the way");
      return;
    }
    const [result] = await transport.settle(
      [{ ...held(running), to: "failed", meta: "", reason: "r" }],
      call,
    );
    expect(result).toMatchObject({ code: "TRANSPORT_CORRUPT" });
    await send("DEL", `{relevo:q}:${part}`);
    expect(await transport.settle([{ ...held(running), to: "failed", meta: "", reason: "r" }], call)).toEqual(
      [
        "settled",
      ],
    );
    expect(await transport.info("q", call)).toMatchObject({ waiting: 0, reserved: 0, failed: 1 });
  });
}

test("a reserve that asks at a queue that cannot be used rejects, and gives back what it took of the others", async () => {
  const transport = open();
  await transport.push([job("1")], call);
  await send("SET", "{relevo:broken}:waiting", "in the way");
  for (const queues of [["broken", "q"], ["q", "broken"]]) {
    await expect(transport.reserve(queues, { limit: 5, slots: 5, lease: 60_000, wait: 0, ...call })).rejects
      .toMatchObject({ code: "TRANSPORT_CORRUPT" });
    expect(await transport.info("q", call)).toMatchObject({ waiting: 1, reserved: 0 });
  }
  expect(await take(transport)).toMatchObject([{ id: "1", lost: 0 }]);
});

test("raw entries: any fields, in any order, are a job with defaults for what they leave out", async () => {
  const transport = open();
  await send("XADD", STREAM, "1000-0", "payload", "{}");
  await send(
    "XADD",
    STREAM,
    "1000-1",
    "payload",
    Buffer.from([0, 255]),
    "name",
    "mail",
    "id",
    "mine",
    "x",
    "y",
  );
  await send("XADD", STREAM, "1000-2", "something", "else");
  await send("XADD", STREAM, "1000-3", "due", "not a time", "payload", "");
  const deliveries = await take(transport, 9);
  expect(deliveries.map(({ id, name, meta, due }) => [id, name, meta, due])).toEqual([
    ["#1000-0", "q", "", 1_000],
    ["mine", "mail", "", 1_000],
    ["#1000-2", "q", "", 1_000],
    ["#1000-3", "q", "", 1_000],
  ]);
  expect(deliveries.map(({ payload }) => payload)).toEqual([
    new Uint8Array([123, 125]),
    new Uint8Array([0, 255]),
    new Uint8Array(),
    new Uint8Array(),
  ]);
  const settled = await transport.settle(
    deliveries.map((delivery) => ({ ...held(delivery), to: "timeout", meta: "m", reason: "r" })),
    call,
  );
  expect(settled).toEqual(["settled", "settled", "settled", "settled"]);
  expect((await transport.get("q", ["#1000-0", "mine"], call)).map((entry) => entry?.channel)).toEqual([
    "timeout",
    "timeout",
  ]);
});

test("a raw entry is found, refused as a duplicate and removed by its number", async () => {
  const transport = open();
  await send("XADD", STREAM, "1000-0", "payload", "{}");
  await send("XADD", STREAM, "1000-1", "payload", "{}");
  expect((await transport.get("q", ["#1000-0"], call))[0]).toMatchObject({
    id: "#1000-0",
    channel: "waiting",
  });
  expect(await transport.push([job("#1000-0", { idWindow: 0 })], call)).toEqual(["duplicate"]);
  expect(await transport.remove("q", "waiting", { ids: ["#1000-0"] }, call)).toBe(1);
  const [left] = await take(transport, 5);
  expect([left?.id, text(left?.payload)]).toEqual(["#1000-1", "{}"]);
});

/** Ids that are UTF-8, and such that are none: overlong, half of a pair, beyond the last, cut short. */
const TEXTS = ["é", "€uro", "日本", "\u{10ffff}", "\ud7ff\ue000", "a😀b"];
const BYTES = [
  [0xff],
  [0xc0, 0x80],
  [0xe0, 0x9f, 0xbf],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf0, 0x8f, 0xbf, 0xbf],
  [0x61, 0xe2, 0x82],
  [0xe2, 0xc2, 0x80, 0x80],
];

test("a raw entry whose id is no UTF-8 is found, settled and buried by its number, one whose id is by its id", async () => {
  const transport = open();
  for (const [n, id] of TEXTS.entries()) await send("XADD", STREAM, `1000-${n}`, "id", id, "payload", "{}");
  for (const [n, id] of BYTES.entries()) {
    await send("XADD", STREAM, `2000-${n}`, "id", Buffer.from(id), "payload", "{}");
  }
  const wanted = [...TEXTS, ...BYTES.map((_, n) => `#2000-${n}`)];
  const found = async () => (await transport.get("q", wanted, call)).map((entry) => entry?.id);
  expect(await found()).toEqual(wanted);
  const taken = await take(transport, 50);
  expect(taken.map(({ id }) => id)).toEqual(wanted);
  const settled = await transport.settle(
    taken.map((each) => ({ ...held(each), to: "failed", meta: "m", reason: "r" })),
    call,
  );
  expect(settled).toEqual(wanted.map(() => "settled"));
  expect(await found()).toEqual(wanted);
  expect(await transport.reload("q", "failed", { ids: wanted }, { ...call, reset: false })).toMatchObject({
    reloaded: wanted.length,
  });
});

test("a raw entry with the id of a live job takes nothing from it when it is done", async () => {
  const transport = open();
  await send("XADD", STREAM, "1000-0", "id", "mine", "payload", "{}");
  await transport.push([job("mine", { idWindow: 0 })], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  expect((await transport.get("q", ["mine"], call))[0]?.channel).toBe("waiting");
  expect(await transport.push([job("mine", { idWindow: 0 })], call)).toEqual(["duplicate"]);
});

test("what another consumer of the group holds comes back after 30 seconds, and its consumer stays", async () => {
  const transport = open();
  await transport.push([job("1")], call);
  await send("XREADGROUP", "GROUP", "relevo", "theirs", "STREAMS", STREAM, ">");
  expect((await transport.list("q", "reserved", { limit: 5, preview: 0 }, call)).entries.length).toBe(1);
  await send("XCLAIM", STREAM, "relevo", "theirs", 0, await firstEntry(), "IDLE", 20_000, "JUSTID");
  await send("DEL", "{relevo:q}:next", "{relevo:q}:leases");
  await send("SET", "{relevo:q}:next", 1);
  expect(await take(transport)).toEqual([]);
  await send("XCLAIM", STREAM, "relevo", "theirs", 0, await firstEntry(), "IDLE", 30_000, "JUSTID");
  await send("DEL", "{relevo:q}:next", "{relevo:q}:leases");
  await send("SET", "{relevo:q}:next", 1);
  expect((await one(transport)).lost).toBe(1);
  const consumers = await send("XINFO", "CONSUMERS", STREAM, "relevo") as readonly (readonly unknown[])[];
  expect(consumers.map(([, name]) => name)).toContain("theirs");
});

test("a consumer of another program whose name ends in a number has its 30 seconds, too", async () => {
  const transport = open();
  await transport.push([job("1"), job("2")], call);
  for (const theirs of ["worker.1", "10.0.0.5"]) {
    await send("XREADGROUP", "GROUP", "relevo", theirs, "COUNT", 1, "STREAMS", STREAM, ">");
  }
  const { entries } = await transport.list("q", "reserved", { limit: 5, preview: 0 }, call);
  for (const { time } of entries) expect(time - Date.now()).toBeGreaterThan(20_000);
  await send("SET", "{relevo:q}:next", 1);
  await send("DEL", "{relevo:q}:leases");
  expect(await take(transport, 5)).toEqual([]);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, reserved: 2 });
});

test("entries that another program numbers by nanoseconds, and all behind them, are settled, extended and listed", async () => {
  const transport = open();
  const largest = "18446744073709551615";
  await send("XADD", STREAM, "1763700000000000000-1", "payload", "{}");
  await send("XADD", STREAM, `${largest}-18446744073709551610`, "payload", "{}");
  await transport.push([job("1"), job("2")], call);
  const page = { limit: 3, preview: 0 };
  const { cursor, entries } = await transport.list("q", "waiting", page, call);
  const rest = await transport.list("q", "waiting", { ...page, cursor }, call);
  expect([...entries, ...rest.entries].map(({ id }) => id)).toEqual([
    "#1763700000000000000-1",
    `#${largest}-18446744073709551610`,
    "1",
    "2",
  ]);
  const taken = await take(transport, 5);
  const extended = await transport.extend(taken.map((each) => ({ ...held(each), ms: 60_000 })), call);
  expect(extended).toEqual(taken.map(() => ({ state: "held" })));
  const settled = await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
  expect(settled).toEqual(["settled", "settled", "settled", "settled"]);
  expect(await transport.info("q", call)).toEqual({
    waiting: 0,
    delayed: 0,
    reserved: 0,
    failed: 0,
    timeout: 0,
  });
});

test("5,000 leases that one client lost come back look after look, without a pause between them", async () => {
  const transport = open();
  await transport.push(Array.from({ length: 5_000 }, (_, n) => job(`${n}`)), call);
  const dead = open();
  for (let taken = 0; taken < 5_000;) taken += (await take(dead, 5_000, { lease: 60_000 })).length;
  const rows = await send(
    "XPENDING",
    STREAM,
    "relevo",
    "-",
    "+",
    5_000,
  ) as readonly (readonly [string, string])[];
  const consumer = rows[0]?.[1] ?? "";
  await send(
    "XCLAIM",
    STREAM,
    "relevo",
    consumer,
    0,
    ...rows.map(([entry]) => entry),
    "IDLE",
    60_000,
    "JUSTID",
  );
  await send("SET", "{relevo:q}:next", 1);
  await send("DEL", "{relevo:q}:leases");
  const looks: number[] = [];
  for (let n = 0; n < 5; n++) looks.push((await take(transport, 1_000)).length);
  expect(looks).toEqual([1_000, 1_000, 1_000, 1_000, 1_000]);
});

test("delayed jobs whose due times were deleted come when they are due, and are found by id", async () => {
  const transport = open();
  const delayed = Array.from({ length: 1_200 }, (_, n) => job(`${n}`, { delay: 300 + n % 7 }));
  await transport.push([...delayed, job("late", { delay: 60_000 })], call);
  await send("DEL", "{relevo:q}:due", "{relevo:q}:next");
  await transport.push([job("new", { delay: 300 })], call);
  const seen: string[] = [];
  await vi.waitFor(async () => {
    const taken = await take(transport, 500);
    seen.push(...taken.map(({ id }) => id));
    await transport.settle(taken.map((each) => ({ ...held(each), to: "done" })), call);
    expect(seen.length).toBe(1_201);
  }, { timeout: 30_000, interval: 20 });
  expect(new Set(seen).size).toBe(1_201);
  expect(await transport.info("q", call)).toMatchObject({ waiting: 0, delayed: 1, reserved: 0 });
  const [late] = await transport.get("q", ["late"], call);
  expect(late?.channel).toBe("delayed");
  expect(await send("ZCARD", "{relevo:q}:due")).toBe(1);
});

test("a queue is listed again a minute after somebody deleted the list, though its jobs are pushed by who knows it", async () => {
  let passed = 0;
  const runtime = systemRuntime();
  const transport = open({ runtime: { ...runtime, monotonic: () => runtime.monotonic() + passed } });
  await transport.push([job("1")], call);
  await send("DEL", "relevo:queues");
  passed = 60_000;
  await transport.push([job("2")], call);
  expect(await transport.queues(call)).toEqual(["q"]);
});
