/** Entries that were read side by side are cut off the stream together once they are done: those, and no other. */
import { expect, test } from "vitest";
import type { Delivery } from "../../../src/jobs/exchange.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, one, scene, take } from "./model_support.ts";

const place = scene();
const { open, send } = place;
const STREAM = "{relevo:q}:waiting";

function idOf(n: number): string {
  return `01M8MKXAW${String(n).padStart(17, "0")}`;
}

/** A client whose rights are known, so that plain jobs go the short way. */
async function ready(): Promise<Transport> {
  const transport = open();
  await transport.push([job("first")], call);
  await transport.settle([{ ...held(await one(transport)), to: "done" }], call);
  return transport;
}

async function push(transport: Transport, count: number, first: number): Promise<void> {
  await transport.push(Array.from({ length: count }, (_, n) => job(idOf(first + n), { meta: "" })), call);
}

async function done(transport: Transport, deliveries: readonly Delivery[]): Promise<void> {
  const results = await transport.settle(deliveries.map((each) => ({ ...held(each), to: "done" })), call);
  expect(results).toEqual(deliveries.map(() => "settled"));
}

/** What an entry holds: the id of one of ours, or the payload of another program's. */
async function left(): Promise<readonly string[]> {
  const entries = await send("XRANGE", STREAM, "-", "+") as readonly (readonly [string, readonly string[]])[];
  return entries.map(([, [field, value = ""]]) =>
    field === "payload" ? value : value.split("\n", 1)[0] ?? ""
  );
}

/** How often a command was carried out since the last question. */
async function countOf(command: string): Promise<number> {
  const stats = String(await send("INFO", "commandstats"));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

test("a batch with which the stream begins is cut off it by one command, and what it covered is free", async () => {
  const transport = await ready();
  await push(transport, 300, 0);
  const [first = [], second = []] = [await take(transport, 200), await take(transport, 100)];
  await send("CONFIG", "RESETSTAT");
  await done(transport, first);
  expect([await countOf("xtrim"), await countOf("xdel")]).toEqual([1, 0]);
  expect(await left()).toEqual(second.map(({ id }) => id));
  expect(await send("GET", "{relevo:q}:covered")).toBe("100");
  await done(transport, second);
  expect([await countOf("xtrim"), await countOf("xdel")]).toEqual([2, 0]);
  expect(await send("EXISTS", "{relevo:q}:covered", "{relevo:q}:ranges")).toBe(0);
  expect((await transport.info("q", call)).reserved).toBe(0);
});

test("a batch behind entries of others is deleted alone: what runs, and what another program acknowledged, stays", async () => {
  const transport = await ready();
  await push(transport, 120, 0);
  await send("XREADGROUP", "GROUP", "relevo", "other", "COUNT", 20, "STREAMS", STREAM, ">");
  const [head] = await send("XRANGE", STREAM, "-", "+", "COUNT", 1) as readonly (readonly [string])[];
  await send("XACK", STREAM, "relevo", head?.[0] ?? "");
  await done(transport, await take(transport, 100));
  expect(await left()).toEqual(Array.from({ length: 20 }, (_, n) => idOf(n)));
});

test("entries that two clients read in turn are no neighbours, though each settles its own at once", async () => {
  const [one, other] = [await ready(), open()];
  await push(one, 160, 0);
  const mine: Delivery[] = [];
  const theirs: Delivery[] = [];
  for (let n = 0; n < 4; n++) {
    mine.push(...await take(one, 20));
    theirs.push(...await take(other, 20));
  }
  await done(one, mine);
  expect(await left()).toEqual(theirs.map(({ id }) => id));
  await done(other, theirs);
  expect(await left()).toEqual([]);
});

test(
  "whatever is pushed, read, deleted and settled in whatever pieces by three clients, only what is done goes",
  async () => {
    for (const seed of [1, 2, 3, 4]) {
      await send("FLUSHALL");
      const random = createRandom(seed);
      const upTo = (most: number): number => Math.floor(random() * most);
      const clients = [await ready(), open(), open()];
      const reserved = clients.map((): Delivery[] => []);
      const live = new Set<string>();
      let next = 0;
      for (let step = 0; step < 120; step++) {
        const which = upTo(clients.length);
        const [client, own] = [clients[which], reserved[which]];
        if (client === undefined || own === undefined) throw new Error("There is no such client");
        const act = upTo(8);
        if (act < 2) {
          const count = 1 + upTo(60);
          await push(clients[0] ?? client, count, next);
          for (let n = 0; n < count; n++) live.add(idOf(next + n));
          next += count;
        } else if (act === 2) {
          await send("XADD", STREAM, "*", "payload", `"${next}"`);
          live.add(`"${next++}"`);
        } else if (act === 3 && own.length > 0) {
          // Another program deletes an entry that runs.
          const [gone] = own.splice(upTo(own.length), 1);
          const entry = gone?.token.match(/\d+-\d+/)?.[0] ?? "";
          await send("XDEL", STREAM, entry);
          live.delete(gone?.id.startsWith("#") ? new TextDecoder().decode(gone.payload) : gone?.id ?? "");
        } else if (act < 6) own.push(...await take(client, 1 + upTo(80)));
        else {
          const from = random() < 0.6 ? 0 : upTo(own.length);
          const some = own.splice(from, 1 + upTo(100));
          if (some.length === 0) continue;
          await done(client, some);
          for (const { id, payload } of some) {
            live.delete(id.startsWith("#") ? new TextDecoder().decode(payload) : id);
          }
        }
        expect(await left()).toEqual([...live]);
      }
      expect(await countOf("xtrim")).toBeGreaterThan(0);
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    }
  },
  120_000,
);
