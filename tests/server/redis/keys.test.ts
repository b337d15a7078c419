/** What stands where, for those who look with a client of their own: docs/transports/wire.md says the same. */
import { expect, test } from "vitest";
import { call, held, job, one, scene, take } from "./model_support.ts";
import { fieldsOf } from "./support.ts";

const { open, send } = scene();

test("a pushed job is one entry of the queue's stream, its payload byte for byte in a field of its own", async () => {
  await open().push([job("1")], call);
  const entries = await send("XRANGE", "{relevo:q}:waiting", "-", "+") as readonly unknown[];
  expect(entries.map(fieldsOf)).toEqual([{ "relevo:n": `1\n{"v":1}`, payload: `"1"` }]);
});

test("a push makes the stream's group, from its beginning; a second client starts without an error", async () => {
  await open({ group: "mine" }).push([job("1")], call);
  const groups = await send("XINFO", "GROUPS", "{relevo:q}:waiting") as readonly (readonly unknown[])[];
  expect(groups.map(([, name]) => name)).toEqual(["mine"]);
  expect((await one(open({ group: "mine" }))).id).toBe("1");
});

test("a dead job is one entry with its payload, where it came from, its error, attempts and time", async () => {
  const transport = open();
  await transport.push([job("1")], call);
  const [entry] = await send("XRANGE", "{relevo:q}:waiting", "-", "+") as readonly [
    readonly [string, unknown],
  ];
  const meta = `{"v":1,"attempts":3,"lastError":{"name":"E","message":"out of ink"}}`;
  const delivery = await one(transport);
  await transport.settle([{ ...held(delivery), to: "failed", meta, reason: "exhausted" }], call);
  const [dead, ...others] = await send("XRANGE", "{relevo:q}:failed", "-", "+") as readonly unknown[];
  expect(others).toEqual([]);
  const { time, ...fields } = fieldsOf(dead);
  expect(fields).toEqual({
    payload: `"1"`,
    original_id: entry[0],
    id: "1",
    name: "n",
    meta,
    reason: "exhausted",
    error: "out of ink",
    attempts: "3",
    lost: "0",
  });
  expect(Number(time)).toBeGreaterThanOrEqual(Number.parseInt(entry[0]));
  expect(await send("XLEN", "{relevo:q}:waiting")).toBe(0);
  expect(await send("XPENDING", "{relevo:q}:waiting", "relevo")).toEqual([0, null, null, null]);
});

test("F074: all keys of a queue share one tag, and no two queues share a key", async () => {
  const transport = open();
  const queues = ["a", "b", "a}:b", "{a}", "a:waiting", "topic@", "topic@group"];
  for (const queue of queues) {
    await transport.push([job("1", { queue, idWindow: 60_000 }), job("2", { queue, delay: 60_000 })], call);
  }
  const keys = (await send("KEYS", "{*") as readonly string[]).filter((key) => key !== "relevo:queues");
  expect(keys.length).toBe(queues.length * 6);
  const tags = new Map<string, Set<string | undefined>>();
  for (const key of keys) {
    const base = key.slice(0, key.lastIndexOf(":"));
    tags.set(base, (tags.get(base) ?? new Set()).add(/\{([^}]*)\}/.exec(key)?.[1]));
  }
  expect(tags.size).toBe(queues.length);
  expect([...tags.values()].every((found) => found.size === 1)).toBe(true);
  for (const queue of queues) {
    expect(await transport.info(queue, call)).toMatchObject({ waiting: 1, delayed: 1 });
  }
});

test("a topic's queue and those of its groups share a tag", async () => {
  const transport = open();
  await transport.topics?.bind("orders", "mail", call);
  await transport.push([job("1", { queue: "orders@" })], call);
  expect(await send("EXISTS", "{relevo:orders}@mail:waiting")).toBe(1);
  expect(await send("SMEMBERS", "{relevo:orders}@:groups")).toEqual(["mail"]);
  expect(await send("EXISTS", "{relevo:orders}@:waiting")).toBe(0);
});

test("F074: prefix and parts may be called otherwise", async () => {
  const transport = open({ prefix: "shop", keys: { waiting: "todo", failed: "dead letters", ids: "names" } });
  await transport.push([job("1"), job("2")], call);
  const [first] = await take(transport, 2);
  if (first === undefined) throw new Error("No job was there");
  await transport.settle([{ ...held(first), to: "failed", meta: "", reason: "r" }], call);
  const keys = await send("KEYS", "*") as readonly string[];
  expect([...keys].sort()).toEqual([
    "shop:queues",
    "{shop:q}:dead",
    "{shop:q}:dead letters",
    "{shop:q}:leases",
    "{shop:q}:names",
    "{shop:q}:next",
    "{shop:q}:todo",
  ]);
  expect(await transport.info("q", call)).toMatchObject({ reserved: 1, failed: 1 });
});

test("counts equal what is in the keys at each step", async () => {
  const transport = open();
  await transport.push([job("1"), job("2"), job("3"), job("4"), job("5", { delay: 60_000 })], call);
  const [a, b, c] = await take(transport, 3);
  if (a === undefined || b === undefined || c === undefined) throw new Error("Fewer jobs than pushed");
  await transport.settle([
    { ...held(a), to: "failed", meta: "", reason: "r" },
    { ...held(b), to: "timeout", meta: "", reason: "r" },
  ], call);
  expect(await transport.info("q", call)).toMatchObject({
    waiting: 1,
    delayed: 1,
    reserved: 1,
    failed: 1,
    timeout: 1,
  });
  const lengths = ["waiting", "delayed", "failed", "timeout"].map((part) =>
    send("XLEN", `{relevo:q}:${part}`)
  );
  expect(await Promise.all(lengths)).toEqual([2, 1, 1, 1]);
  expect(await send("HLEN", "{relevo:q}:ids")).toBe(3);
});

test("a prefix with a colon and a queue with one share no key", async () => {
  const one = open({ prefix: "relevo:x" });
  const other = open({ prefix: "relevo" });
  await one.push([job("1", { queue: "y" })], call);
  await other.push([job("2", { queue: "x:y" }), job("3", { queue: "x%3Ay" })], call);
  await other.topics?.bind("x:t", "a:b", call);
  await other.push([job("4", { queue: "x:t@" })], call);
  expect(await send("EXISTS", "{relevo:x:y}:waiting", "{relevo:x%3Ay}:waiting", "{relevo:x%253Ay}:waiting"))
    .toBe(3);
  expect(await send("EXISTS", "{relevo:x%3At}@a%3Ab:waiting")).toBe(1);
  const waiting = async (transport: typeof one, queue: string): Promise<readonly string[]> =>
    (await transport.list(queue, "waiting", { limit: 9, preview: 0 }, call)).entries.map(({ id }) => id);
  expect(await waiting(one, "y")).toEqual(["1"]);
  expect(await waiting(other, "x:y")).toEqual(["2"]);
  expect(await waiting(other, "x%3Ay")).toEqual(["3"]);
  expect(await waiting(other, "x:t@a:b")).toEqual(["4"]);
});
