import { expect, test } from "vitest";
import type { PushJob } from "../../src/jobs/exchange.ts";
import { createFakeRuntime } from "../../src/testing/mod.ts";
import { memory } from "../../src/transports/memory/mod.ts";

const call = { deadline: 1_000 };

function open(maxJobs?: number) {
  const transport = memory({ runtime: createFakeRuntime(), maxJobs });
  const { topics } = transport;
  if (topics === undefined) throw new Error("Topics were wanted");
  return { ...transport, ...topics };
}

function job(id: string, part: Partial<PushJob> = {}): PushJob {
  return { queue: "orders@", id, name: "n", payload: new Uint8Array(1), meta: "", ...part };
}

test("each group's copy counts against 'maxJobs', and copies that do not all fit are not stored at all", async () => {
  const { push, bind, info, remove } = open(5);
  for (const group of ["a", "b"]) await bind("orders", group, call);
  const results = await push([job("1"), job("2"), job("3")], call);
  expect(results).toMatchObject(["stored", "stored", { code: "TRANSPORT_FULL" }]);
  for (const queue of ["orders@a", "orders@b"]) expect(await info(queue, call)).toMatchObject({ waiting: 2 });
  expect(await push([job("4", { queue: "q" }), job("5")], { ...call, atomic: true })).toMatchObject([
    "withheld",
    { code: "TRANSPORT_FULL" },
  ]);
  expect(await remove("orders@a", "waiting", "all", call)).toBe(2);
  expect(await push([job("4", { queue: "q" }), job("5")], { ...call, atomic: true })).toEqual([
    "stored",
    "stored",
  ]);
});

test("a topic that only ever had groups is no queue that held a job", async () => {
  const { push, bind, queues } = open();
  await bind("orders", "a", call);
  expect(await queues(call)).toEqual([]);
  await push([job("1", { idWindow: 1_000 })], call);
  expect(await queues(call)).toEqual(["orders@a"]);
});

test("what was taken from a backlog and put back stands where it stood, its delayed jobs too", async () => {
  const { push, bind, unbind, reserve, list } = open();
  const ids = Array.from({ length: 1_200 }, (_, n) => `${n}`);
  await push(ids.map((id, n) => job(id, n % 2 === 0 ? {} : { delay: 1_200 - n })), call);
  await bind("orders", "a", call);
  const { entries } = await list("orders@a", "delayed", { limit: 1_000, preview: 0 }, call);
  expect(entries.map(({ id }) => id)).toEqual(ids.filter((_, n) => n % 2 === 1).reverse());
  await unbind("orders", "a", call);
  await push([job("later")], call);
  await bind("orders", "a", call);
  const deliveries = await reserve(["orders@a"], {
    ...call,
    limit: 1_000,
    slots: 1_000,
    lease: 1_000,
    wait: 0,
  });
  expect(deliveries.map(({ id }) => id)).toEqual([...ids.filter((_, n) => n % 2 === 0), "later"]);
});
