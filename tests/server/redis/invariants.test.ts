/** After any mixture of calls by several clients the keys of a queue agree with each other. */
import { expect, test } from "vitest";
import type { Delivery, Settlement } from "../../../src/jobs/exchange.ts";
import { type Channel, CHANNELS, DEAD_CHANNELS } from "../../../src/jobs/job.ts";
import { createRandom } from "../../../src/testing/fake_runtime.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, scene, take } from "./model_support.ts";
import { fieldsOf } from "./support.ts";

const { open, send } = scene();
const BASE = "{relevo:q}:";
/** Where they change the head has them, else the name of its field. */
const NAMES = ["n", "~", "other"];

async function entriesOf(part: string): Promise<ReadonlyMap<string, Record<string, string>>> {
  const entries = await send("XRANGE", BASE + part, "-", "+") as readonly (readonly [string, unknown])[];
  return new Map(entries.map((entry) => [entry[0], fieldsOf(entry)]));
}

async function hashOf(part: string): Promise<readonly (readonly [string, string])[]> {
  const flat = await send("HGETALL", BASE + part) as readonly string[];
  return flat.flatMap((key, n) => n % 2 === 0 ? [[key, flat[n + 1] ?? ""] as const] : []);
}

/** A member without the zeros that fill it up. */
function entryOf(member: string): string {
  return member.split("-").map(Number).join("-");
}

/** The ids in the fields whose names are such. */
function idsIn(fields: Record<string, string>, field: RegExp): readonly string[] {
  return Object.entries(fields).flatMap(([name, value]) => field.test(name) ? value.split("\n", 1) : []);
}

async function pendingOf(part: string): Promise<readonly (readonly [entry: string, consumer: string])[]> {
  const rows = await send("XPENDING", BASE + part, "relevo", "-", "+", 100_000)
    // Nothing was ever taken from the stream.
    .catch(() => []);
  return rows as readonly (readonly [string, string])[];
}

async function agree(): Promise<void> {
  const [waiting, delayed] = [await entriesOf("waiting"), await entriesOf("delayed")];
  const due = await send("ZRANGE", `${BASE}due`, 0, -1) as readonly string[];
  // A delayed job that fell due is reserved where it is, and has no due time meanwhile, nor when it came back.
  const taken = (await pendingOf("delayed")).filter(([, consumer]) => consumer !== "free");
  expect([...due.map(entryOf), ...taken.map(([entry]) => entry)].sort()).toEqual([...delayed.keys()].sort());
  const places = await hashOf("ids");
  const covered = [...waiting.values()].flatMap((fields) => idsIn(fields, /^relevo~/));
  expect(places.length + covered.length).toBe(waiting.size + delayed.size);
  expect(Number(await send("GET", `${BASE}covered`) ?? 0)).toBe(covered.length);
  for (const [id, place] of places) {
    const entry = place.startsWith("d") ? delayed.get(entryOf(place.slice(1))) : waiting.get(place);
    expect(idsIn(entry ?? {}, /^relevo(:|$)/)).toEqual([id]);
  }
  const found = await open().get("q", covered, call);
  expect(found.map((entry) => entry?.id)).toEqual(covered);
  const pending = await pendingOf("waiting");
  expect(pending.filter(([entry]) => !waiting.has(entry))).toEqual([]);
  const dead = { f: await entriesOf("failed"), t: await entriesOf("timeout") };
  let graves = 0;
  for (const [id, list] of await hashOf("dead")) {
    for (const place of list.split(" ")) {
      expect(dead[place[0] as "f" | "t"].get(place.slice(1))?.id).toBe(id);
      graves++;
    }
  }
  expect(graves).toBe(dead.f.size + dead.t.size);
}

for (const seed of [1, 2, 3]) {
  test(`a random walk of three clients leaves keys that agree (seed ${seed})`, async () => {
    const random = createRandom(seed);
    const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)];
    const clients = [open(), open(), open()];
    const deliveries: Delivery[] = [];
    const ids = Array.from({ length: 30 }, (_, n) => `own-${n}`);
    let made = 0;

    const push = (transport: Transport): Promise<unknown> =>
      transport.push(
        Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
          const chosen = random() < 0.4;
          const delay = random() < 0.3 ? Math.floor(random() * 40) : undefined;
          return job(chosen ? pick(ids) ?? "" : `made-${made++}`, {
            idWindow: chosen ? 5 : undefined,
            delay,
          });
        }),
        { ...call, atomic: random() < 0.2 },
      );
    const pushPlain = (transport: Transport): Promise<unknown> => {
      const name = pick([undefined, ...NAMES]);
      return transport.push(
        Array.from(
          { length: 1 + Math.floor(random() * 25) },
          () => job(String(made++).padStart(26, "0"), { name: name ?? pick(NAMES) ?? "n" }),
        ),
        call,
      );
    };
    const ending = (named: { queue: string; token: string }): Settlement =>
      pick<Settlement>([
        { ...named, to: "done" },
        { ...named, to: "done" },
        { ...named, to: "release" },
        { ...named, to: "again", meta: "m" },
        { ...named, to: "again", meta: "m", delay: 15 },
        { ...named, to: "failed", meta: "m", reason: "r" },
        { ...named, to: "timeout", meta: "m", reason: "r" },
      ]) ?? { ...named, to: "done" };
    const settle = (transport: Transport): Promise<unknown> =>
      transport.settle(
        Array.from({ length: 12 }, () => pick(deliveries)).flatMap((one) => one ? [ending(held(one))] : []),
        call,
      );
    const reserve = async (transport: Transport): Promise<void> => {
      const lease = random() < 0.4 ? 10 : 60_000;
      deliveries.push(...await take(transport, 1 + Math.floor(random() * 15), { lease }));
    };
    const extend = (transport: Transport): Promise<unknown> =>
      transport.extend(
        Array.from({ length: 6 }, () => pick(deliveries)).flatMap((one) =>
          one ? [{ ...held(one), ms: pick([5, 60_000, 120_000]) ?? 5 }] : []
        ),
        call,
      );
    const reload = (transport: Transport): Promise<unknown> =>
      transport.reload("q", pick(DEAD_CHANNELS) ?? "failed", pick(["all", { ids }] as const) ?? "all", {
        ...call,
        reset: random() < 0.5,
      });
    const remove = (transport: Transport): Promise<unknown> =>
      transport.remove("q", pick<Channel>(CHANNELS) ?? "waiting", { ids: ids.slice(0, 10) }, call);

    for (let round = 0; round < 60; round++) {
      const steps = clients.map((transport) =>
        (pick([
          push,
          push,
          pushPlain,
          pushPlain,
          reserve,
          reserve,
          reserve,
          settle,
          settle,
          settle,
          extend,
          reload,
          remove,
        ]) ??
          push)(transport)
      );
      await Promise.all(steps);
      if (round % 6 === 5) await agree();
    }
    // What comes due between two removals would be in neither.
    await expect.poll(async () => (await clients[0]?.info("q", call))?.delayed).toBe(0);
    const info = await clients[0]?.info("q", call);
    for (const channel of CHANNELS) {
      expect(await clients[1]?.remove("q", channel, "all", call)).toBe(info?.[channel]);
    }
    await agree();
  });
}
