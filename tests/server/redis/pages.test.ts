/** What takes more than one page: nothing is left behind, and order is kept. */
import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import type { Channel } from "../../../src/jobs/job.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, scene, take } from "./model_support.ts";
import { commands } from "./support.ts";

const scenery = scene();
const { open, send } = scenery;
const MANY = 1_700;

function ids(count: number, word = ""): readonly string[] {
  return Array.from({ length: count }, (_, n) => `${word}${n}`);
}

async function takeAll(transport: Transport, queue: string): Promise<readonly Delivery[]> {
  const all: Delivery[] = [];
  for (;;) {
    const more = await transport.reserve([queue], {
      limit: 700,
      slots: 700,
      lease: 60_000,
      wait: 0,
      ...call,
    });
    if (more.length === 0) return all;
    all.push(...more);
  }
}

/** Every other job is called `even`. */
async function fill(transport: Transport, channel: Channel): Promise<void> {
  const delay = channel === "delayed" ? 60_000 : undefined;
  await transport.push(
    ids(MANY).map((id, n) => job(id, { name: n % 2 === 0 ? "even" : "odd", delay })),
    call,
  );
  if (channel === "waiting" || channel === "delayed") return;
  const deliveries = await takeAll(transport, "q");
  if (channel === "reserved") return;
  await transport.settle(
    deliveries.map((one) => ({ ...held(one), to: channel, meta: "", reason: "r" })),
    call,
  );
}

for (const channel of ["waiting", "delayed", "reserved", "failed", "timeout"] as const) {
  test(`of ${MANY} ${channel} jobs those of one name are removed, then the rest, and nothing is left`, async () => {
    const transport = open();
    await fill(transport, channel);
    expect(await transport.remove("q", channel, { name: "even" }, call)).toBe(MANY / 2);
    const left = await transport.list("q", channel, { limit: 10_000, preview: 0 }, call);
    expect(left.entries.length).toBe(MANY / 2);
    expect(left.entries.every(({ name }) => name === "odd")).toBe(true);
    expect(await transport.info("q", call)).toMatchObject({ [channel]: MANY / 2 });
    expect(await transport.remove("q", channel, "all", call)).toBe(MANY / 2);
    expect(await transport.info("q", call)).toMatchObject({ [channel]: 0 });
    const keys = await send("KEYS", "{relevo:q}*") as readonly string[];
    expect(keys.filter((key) => /:(ids|dead|due)$/.test(key))).toEqual([]);
  });
}

test("a listing in small pages shows each waiting job once, whatever is reserved, released or due between them", async () => {
  const transport = open();
  await transport.push(ids(900).map((id) => job(id)), call);
  const deliveries = await take(transport, 600);
  await transport.settle(deliveries.slice(100, 300).map((one) => ({ ...held(one), to: "release" })), call);
  await transport.push(ids(50, "due").map((id) => job(id, { at: Date.now() + 5 })), call);
  await expect.poll(async () => (await transport.info("q", call)).waiting).toBe(550);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await transport.list("q", "waiting", { limit: 7, preview: 0, cursor }, call);
    expect(page.entries.length).toBeLessThanOrEqual(7);
    seen.push(...page.entries.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  expect(seen).toEqual([...ids(300).slice(100), ...ids(900).slice(600), ...ids(50, "due")]);
});

test("a group that has jobs gets all that waited for it, page by page, in order and found by id", async () => {
  const transport = open();
  await transport.topics?.bind("orders", "mail", call);
  await transport.push([job("first", { queue: "orders@" })], call);
  await transport.topics?.unbind("orders", "mail", call);
  const later = ids(2_300);
  await transport.push(later.map((id) => job(id, { queue: "orders@" })), call);
  await transport.push(ids(1_200, "d").map((id) => job(id, { queue: "orders@", delay: 60_000 })), call);
  await transport.topics?.bind("orders", "mail", call);
  expect(await transport.info("orders@", call)).toMatchObject({ waiting: 0, delayed: 0 });
  expect(await transport.info("orders@mail", call)).toMatchObject({ waiting: 2_301, delayed: 1_200 });
  const [waits, delayed] = await transport.get("orders@mail", ["1999", "d77"], call);
  expect([waits?.channel, delayed?.channel]).toEqual(["waiting", "delayed"]);
  expect((await takeAll(transport, "orders@mail")).map(({ id }) => id)).toEqual(["first", ...later]);
  const keys = await send("KEYS", "{relevo:orders}@:*") as readonly string[];
  expect(keys.filter((key) => !/:(groups|waiting|delayed)$/.test(key))).toEqual([]);
});

test("who binds after a process died that was binding the first group ends that, then binds its own", async () => {
  const transport = open();
  await transport.push([job("1", { queue: "orders@" })], call);
  await send("SET", "{relevo:orders}@:heir", "dead");
  await transport.push([job("2", { queue: "orders@", idWindow: 0 })], call);
  await transport.topics?.bind("orders", "mine", call);
  expect(await transport.topics?.groups("orders", call)).toEqual(["dead", "mine"]);
  await transport.push([job("3", { queue: "orders@" })], call);
  expect((await takeAll(transport, "orders@dead")).map(({ id }) => id)).toEqual(["1", "2", "3"]);
  expect((await takeAll(transport, "orders@mine")).map(({ id }) => id)).toEqual(["3"]);
});

test("large jobs are shown, listed and removed in scripts of some megabytes each", async () => {
  const transport = open();
  const payload = new Uint8Array(1024 * 1024).fill(120);
  const names = ids(60, "large-");
  await transport.push(names.map((id) => job(id, { payload })), call);
  await transport.push(names.map((id) => job(`late-${id}`, { payload, delay: 60_000 })), call);
  for (let taken = 0; taken < names.length;) taken += (await take(transport, names.length)).length;

  /** As 8 MiB may be passed by one job, nine are in a script at most. */
  async function inParts<T>(run: () => Promise<T>): Promise<T> {
    const before = await commands(scenery.server, "eval", "evalsha");
    const result = await run();
    expect(await commands(scenery.server, "eval", "evalsha") - before).toBeGreaterThanOrEqual(60 / 9);
    return result;
  }

  const found = await inParts(() => transport.get("q", ["none", ...names], call));
  expect(found.map((entry) => entry?.id)).toEqual([undefined, ...names]);
  expect(found.slice(1).every((entry) => entry?.payload.length === payload.length)).toBe(true);
  const page = { limit: 100, preview: 1 };
  const { entries, cursor } = await inParts(() => transport.list("q", "reserved", page, call));
  expect([entries.map(({ id }) => id), cursor]).toEqual([names, undefined]);
  expect(await inParts(() => transport.remove("q", "reserved", "all", call))).toBe(names.length);
  expect(await inParts(() => transport.remove("q", "delayed", "all", call))).toBe(names.length);
  expect((await transport.info("q", call)).delayed).toBe(0);
});

test("a reserve brings no more than some megabytes at once, even where large jobs stand behind small ones", async () => {
  const transport = open();
  const payload = new Uint8Array(1024 * 1024).fill(120);
  await transport.push([job("small"), job("little"), ...ids(60).map((id) => job(id, { payload }))], call);
  const seen: string[] = [];
  for (let taken = await take(transport, 100); taken.length > 0; taken = await take(transport, 100)) {
    expect(taken.length).toBeLessThanOrEqual(18);
    seen.push(...taken.map(({ id }) => id));
  }
  expect(seen).toEqual(["small", "little", ...ids(60)]);
});

test("payloads of every size come back byte for byte, however many are pushed and reserved together", async () => {
  const transport = open();
  const sizes = [0, 1, 100, 2_000, 2_048, 2_049, 3_000, 70_000, 400_000];
  const payloadOf = (size: number): Uint8Array =>
    Uint8Array.from({ length: size }, (_, n) => (n * 7 + size) % 256);
  const jobs = [...sizes, ...sizes].map((size, n) => job(`${n}`, { payload: payloadOf(size) }));
  const [first, second, third, ...rest] = jobs;
  if (first === undefined || second === undefined || third === undefined) throw new Error("No jobs");
  for (const batch of [[first], [second], [third], rest]) await transport.push(batch, call);
  // More than are answered beside what is packed.
  const many = Array.from(
    { length: 1_200 },
    (_, n) => job(`many ${n}`, { payload: payloadOf(2_100 + n % 9) }),
  );
  await transport.push(many, call);
  const all = [...jobs, ...many];
  const seen: Delivery[] = [];
  for (let taken = await take(transport, 5_000); taken.length > 0; taken = await take(transport, 5_000)) {
    seen.push(...taken);
  }
  expect(seen.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
  const differing = seen.filter(({ payload }, n) =>
    Buffer.compare(payload, all[n]?.payload ?? payload) !== 0
  );
  expect(differing.map(({ id }) => id)).toEqual([]);
  expect(await transport.settle(seen.map((one) => ({ ...held(one), to: "done" as const })), call))
    .toEqual(seen.map(() => "settled"));
});
