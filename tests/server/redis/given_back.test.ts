/** A reserve that a server refuses in its middle: the jobs that it had taken wait again, and lost no lease. */
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, job, scene } from "./model_support.ts";

const at = scene({ users: ["worker on >worker ~* &* +@all"] });

/** No test lasts as long: a job that is left to its lease is not handed over again. */
const LEASE = 3_600_000;

function reserve(transport: Transport, queue = "q"): Promise<readonly Delivery[]> {
  return transport.reserve([queue], { limit: 10, slots: 10, lease: LEASE, wait: 0, ...call });
}

/** A worker that was found to have its rights, so that it does not ask for them before it reserves. */
async function proven(): Promise<Transport> {
  await at.send("ACL", "SETUSER", "worker", "+@all");
  const worker = at.open({ url: `redis://worker:worker@127.0.0.1:${at.server.port}` });
  await worker.push([job("first", { queue: "other" })], call);
  expect(await reserve(worker, "other")).toHaveLength(1);
  return worker;
}

function idsAndLost(deliveries: readonly Delivery[]): readonly (readonly [string, number])[] {
  return deliveries.map(({ id, lost }) => [id, lost]);
}

test("jobs that a reserve had read when it was refused, as a right was taken, wait again at once", async () => {
  const worker = await proven();
  const other = at.open();
  await other.push([job("1"), job("2")], call);
  await at.send("ACL", "SETUSER", "worker", "-set");
  await expect(reserve(worker)).rejects.toMatchObject({
    code: "TRANSPORT_FORBIDDEN",
    message: expect.stringContaining("'SET'"),
  });
  expect(idsAndLost(await reserve(other))).toEqual([["1", 0], ["2", 0]]);
});

test("a delayed job that a reserve had claimed when it was refused is due as before", async () => {
  const worker = await proven();
  const other = at.open();
  await other.push([job("late", { delay: 1 })], call);
  const begun = await at.send("TIME") as readonly [string, string];
  const since = async (): Promise<number> => {
    const now = await at.send("TIME") as readonly [string, string];
    return (Number(now[0]) - Number(begun[0])) * 1_000_000 + Number(now[1]) - Number(begun[1]);
  };
  await expect.poll(since).toBeGreaterThan(2_000);
  await at.send("ACL", "SETUSER", "worker", "-zrem");
  await expect(reserve(worker)).rejects.toMatchObject({ code: "TRANSPORT_FORBIDDEN" });
  expect(idsAndLost(await reserve(other))).toEqual([["late", 0]]);
});

test("jobs of a queue with a key of another type wait until it is mended, and lose no lease meanwhile", async () => {
  const worker = at.open();
  await worker.push([job("1"), job("2"), job("3", { queue: "sound" })], call);
  await at.send("HSET", "{relevo:q}:next", "field", "value");
  const both = worker.reserve(["sound", "q"], { limit: 10, slots: 10, lease: LEASE, wait: 0, ...call });
  await expect(both).rejects.toMatchObject({ code: "TRANSPORT_CORRUPT" });
  expect(idsAndLost(await reserve(worker, "sound"))).toEqual([["3", 0]]);
  await expect(reserve(worker)).rejects.toMatchObject({ code: "TRANSPORT_CORRUPT" });
  await at.send("DEL", "{relevo:q}:next");
  const deliveries = await reserve(worker);
  expect(idsAndLost(deliveries)).toEqual([["1", 0], ["2", 0]]);
  const done = deliveries.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
  expect(await worker.settle(done, call)).toEqual(["settled", "settled"]);
});
