/** Plain jobs of many queues in one call: they go a way of their own, and each queue has what it has by any other. */
import { expect, test } from "vitest";
import type { PushJob } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, scene, take } from "./model_support.ts";

const { open, send } = scene();

/** A client whose rights are known, so that plain jobs go the short way. */
async function ready(): Promise<Transport> {
  const transport = open();
  await transport.push([job("first")], call);
  const [first] = await take(transport);
  if (first !== undefined) await transport.settle([{ ...held(first), to: "done" }], call);
  await send("CONFIG", "RESETSTAT");
  return transport;
}

/** So many jobs each in so many queues, in turns. */
function jobsOf(queues: number, each: number): PushJob[] {
  return Array.from(
    { length: queues * each },
    (_, n) => job(`${n}`, { queue: `q${n % queues}`, name: `n${n}` }),
  );
}

/** How many times a command was run since the client was ready. */
async function runs(command: string): Promise<number> {
  return Number(
    String(await send("INFO", "commandstats")).match(`cmdstat_${command}:calls=(\\d+)`)?.[1] ?? 0,
  );
}

for (const each of [1, 3]) {
  test(`jobs of 200 queues, ${each} in each, are stored in order, found by their ids, and their queues are known`, async () => {
    const transport = await ready();
    const jobs = jobsOf(200, each);
    expect(new Set(await transport.push(jobs, call))).toEqual(new Set(["stored"]));
    const names = Array.from({ length: 200 }, (_, n) => `q${n}`);
    expect(new Set(await transport.queues(call))).toEqual(new Set([...names, "q"]));
    for (const [n, queue] of names.entries()) {
      const ids = Array.from({ length: each }, (_, turn) => String(n + turn * 200));
      expect((await transport.get(queue, ids, call)).map((entry) => entry?.id)).toEqual(ids);
      const taken = await take(transport, 5, {}, queue);
      expect(taken.map(({ id, name }) => [id, name])).toEqual(ids.map((id) => [id, `n${id}`]));
    }
  });
}

test("a job that comes with others to a queue that is there costs four commands", async () => {
  const transport = await ready();
  await transport.push(jobsOf(100, 1), call);
  await send("CONFIG", "RESETSTAT");
  await transport.push(jobsOf(100, 1).map((each) => ({ ...each, id: `other ${each.id}` })), call);
  expect([await runs("xadd"), await runs("hset"), await runs("hlen"), await runs("exists")]).toEqual([
    100,
    100,
    100,
    1,
  ]);
  expect([await runs("zcard"), await runs("zrange"), await runs("xlen")]).toEqual([0, 0, 0]);
});

test("a queue whose keys are of another type refuses its own jobs alone, and nothing of them is written", async () => {
  const transport = await ready();
  const wrong = { q1: "waiting", q2: "ids", q3: "waiters" };
  for (const [queue, part] of Object.entries(wrong)) await send("SET", `{relevo:${queue}}:${part}`, "text");
  // A client that waits somewhere has all queues asked for their clients.
  await send("ZADD", "{relevo:q4}:waiters", Date.now() + 60_000, "client");
  const results = await transport.push(jobsOf(6, 2), call);
  const failed = results.flatMap((result, n) => result instanceof Error ? [n] : []);
  expect(failed).toEqual([1, 2, 3, 7, 8, 9]);
  expect(results.filter((result) => result === "stored")).toHaveLength(6);
  for (const [queue, part] of Object.entries(wrong)) {
    const keys = await send("KEYS", `{relevo:${queue}}:*`);
    expect(keys).toEqual([`{relevo:${queue}}:${part}`]);
  }
  expect(results[1]).toMatchObject({ code: "TRANSPORT_CORRUPT" });
});

test("calls that wait for different queues are each told of the job that came to theirs", async () => {
  const [producer, consumer] = [await ready(), open()];
  const queues = Array.from({ length: 20 }, (_, n) => `q${n}`);
  const calls = queues.map((queue) => take(consumer, 1, { wait: 50_000 }, queue));
  await expect.poll(async () =>
    Number(await send("EXISTS", ...queues.map((queue) => `{relevo:${queue}}:waiters`)))
  )
    .toBe(20);
  await producer.push(jobsOf(20, 1), call);
  expect((await Promise.all(calls)).map(([delivery]) => delivery?.queue)).toEqual(queues);
});

test("while there are more jobs than a worker wants, its polls name no more than some of its 250 queues", async () => {
  const transport = await ready();
  const jobs = jobsOf(250, 4);
  const queues = jobs.slice(0, 250).map(({ queue }) => queue);
  await transport.push(jobs, call);
  expect(await take(transport)).toEqual([]);
  const bytesOf = async (): Promise<number> => {
    const before = await received();
    const taken = await transport.reserve(queues, { limit: 8, slots: 8, lease: 60_000, wait: 0, ...call });
    expect(taken).toHaveLength(8);
    return await received() - before;
  };
  const [first, second] = [await bytesOf(), await bytesOf()];
  expect(second).toBeLessThan(first / 4);
  // With nothing left in those, it comes to the others as well.
  const rest = await transport.reserve(queues, { limit: 2_000, slots: 8, lease: 60_000, wait: 0, ...call });
  expect(rest).toHaveLength(1_000 - 16);
});

/** Bytes that the server has read so far. */
async function received(): Promise<number> {
  return Number(String(await send("INFO", "stats")).match(/total_net_input_bytes:(\d+)/)?.[1]);
}
