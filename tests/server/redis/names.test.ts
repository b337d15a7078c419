/** Where a job's name stands in its entry: in the name of a field, which neighbours of one name share, or in a value. */
import { describe, expect, test } from "vitest";
import type { Transport } from "../../../src/contract/transport.ts";
import { call, held, job, one, scene, take } from "./model_support.ts";

const { open, send } = scene();
const STREAM = "{relevo:q}:waiting";
const LONGEST = "n".repeat(255);
/** Names that a dispatch allows, and that look as if they were something else. */
const NAMES = [
  "n",
  "ä€😀",
  "a name of words",
  "payload",
  "relevo",
  "relevo:",
  "relevo~",
  ":relevo",
  "~",
  "~~n",
  ":",
  "#1-1",
  "%z",
  LONGEST,
];

/** A client whose rights are known, so that plain jobs go the short way. */
async function ready(name = "n", queues: readonly string[] = ["q"]): Promise<Transport> {
  const transport = open();
  await transport.push(queues.map((queue) => job("first", { queue, name })), call);
  for (const queue of queues) {
    const [first] = await take(transport, 1, {}, queue);
    if (first !== undefined) await transport.settle([{ ...held(first), to: "done" }], call);
  }
  return transport;
}

function idOf(n: number): string {
  return String(n).padStart(26, "0");
}

/** Does the same with each, one after the other. */
async function inTurn<T, R>(all: readonly T[], act: (one: T) => R | Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (const each of all) results.push(await act(each));
  return results;
}

/** The names of the first fields, in the order of the stream. */
async function headsOf(stream = STREAM): Promise<readonly string[]> {
  const entries = await send("XRANGE", stream, "-", "+") as readonly (readonly [string, readonly string[]])[];
  return entries.map(([, [field = ""]]) => field);
}

describe("the name of a field has a job's name", () => {
  test("of lone jobs while it stays the same, and again behind eight of one name", async () => {
    const transport = await ready();
    const names = ["n", "n", "a", "b", ...Array.from({ length: 9 }, () => "b")];
    await inTurn(names.map((name, n) => job(`${n}`, { name })), (each) => transport.push([each], call));
    expect(await headsOf()).toEqual([
      "relevo:n",
      "relevo:n",
      ...Array.from({ length: 8 }, () => "relevo"),
      ...Array.from({ length: 3 }, () => "relevo:b"),
    ]);
  });

  test("of a batch of one name, and of none in which names change", async () => {
    const transport = await ready();
    await transport.push(Array.from({ length: 20 }, (_, n) => job(idOf(n))), call);
    await transport.push(Array.from({ length: 20 }, (_, n) => job(idOf(n + 20), { name: `n${n}` })), call);
    await transport.push(Array.from({ length: 9 }, (_, n) => job(`own ${n}`, { name: "m" })), call);
    expect(await headsOf()).toEqual([
      ...Array.from({ length: 20 }, () => "relevo~n"),
      ...Array.from({ length: 20 }, () => "relevo~"),
      ...Array.from({ length: 9 }, () => "relevo:m"),
    ]);
  });

  test("of jobs of many queues, by what each queue has", async () => {
    const transport = await ready("n", ["q", "r", "s"]);
    const jobs = ["q", "r", "s"].flatMap((queue, turn) =>
      Array.from({ length: 3 }, (_, n) => job(`${n}`, { queue, name: turn === 1 ? `${n}` : "n" }))
    );
    await transport.push(jobs, call);
    expect(await headsOf()).toEqual(["relevo:n", "relevo:n", "relevo:n"]);
    expect(await headsOf("{relevo:r}:waiting")).toEqual(["relevo", "relevo", "relevo"]);
    for (const queue of ["q", "r", "s"]) {
      const taken = await take(transport, 3, {}, queue);
      expect(taken.map(({ id, name }) => [id, name])).toEqual(
        jobs.filter((each) => each.queue === queue).map(({ id, name }) => [id, name]),
      );
    }
  });

  test("of jobs with an id of their own and of delayed ones as of others", async () => {
    const transport = await ready();
    await transport.push([job("1", { idWindow: 1 }), job("2", { delay: 60_000 })], call);
    await transport.push([job("3", { idWindow: 1, name: "m" })], call);
    expect(await headsOf()).toEqual(["relevo:n", "relevo"]);
    expect(await headsOf("{relevo:q}:delayed")).toEqual(["relevo:n"]);
  });
});

const WAYS: Readonly<Record<string, (transport: Transport, name: string, n: number) => Promise<unknown>>> = {
  "alone": (transport, name, n) => transport.push([job(`${n}`, { name })], call),
  "with others of the name": (transport, name, n) =>
    transport.push([0, 1].map((turn) => job(`${n} ${turn}`, { name })), call),
  "with others of the name and generated ids": (transport, name, n) =>
    transport.push(Array.from({ length: 9 }, (_, turn) => job(idOf(10 * n + turn), { name })), call),
  "with an id of their own": (transport, name, n) =>
    transport.push([job(`${n}`, { name, idWindow: 1 })], call),
  "as large ones": (transport, name, n) =>
    transport.push([job(`${n}`, { name, payload: new Uint8Array(40_000) })], call),
};
for (const [how, push] of Object.entries(WAYS)) {
  test(`jobs with any names that are stored ${how} keep them in both forms, in whatever channel they are`, async () => {
    for (const steady of [true, false]) {
      const transport = await ready();
      // A client takes the first name that it sees to be steady.
      const producers = await inTurn(NAMES, (name) => steady ? ready(name) : transport);
      for (const [n, name] of NAMES.entries()) await push(producers[n] ?? transport, name, n);
      const found = [];
      for (let more = await take(transport, 200); more.length > 0; more = await take(transport, 200)) {
        found.push(...more);
      }
      expect([...new Set(found.map(({ name }) => name))]).toEqual(NAMES);
      expect((await transport.get("q", found.map(({ id }) => id), call)).map((entry) => entry?.name))
        .toEqual(found.map(({ name }) => name));
      await transport.settle(
        found.map((each, n) =>
          n % 2 === 0
            ? { ...held(each), to: "again", meta: "m" }
            : { ...held(each), to: "failed", meta: "m", reason: "r" }
        ),
        call,
      );
      for (const channel of ["waiting", "failed"] as const) {
        const { entries } = await transport.list("q", channel, { limit: 1_000, preview: 10 }, call);
        const settled = found.filter((_, n) => (n % 2 === 0) === (channel === "waiting"));
        expect(entries.map(({ id, name }) => `${id} ${name}`).sort()).toEqual(
          settled.map(({ id, name }) => `${id} ${name}`).sort(),
        );
        expect(await transport.remove("q", channel, "all", call)).toBe(settled.length);
      }
      expect(await send("EXISTS", "{relevo:q}:ids", "{relevo:q}:covered")).toBe(0);
    }
  });
}

test("waiting jobs are removed by their names in both forms", async () => {
  const transport = await ready();
  await transport.push(Array.from({ length: 9 }, (_, n) => job(idOf(n))), call);
  await transport.push(
    Array.from({ length: 9 }, (_, n) => job(idOf(10 + n), { name: n < 4 ? "n" : "m" })),
    call,
  );
  expect(await transport.remove("q", "waiting", { name: "n" }, call)).toBe(13);
  expect((await take(transport, 20)).map(({ name }) => name)).toEqual(["m", "m", "m", "m", "m"]);
});

/** Fields of other programs that are called as ours; what the job is then. */
const HOSTILE: readonly (readonly [fields: readonly string[], id: string, name: string, meta: string])[] = [
  [["relevo", "yes"], "#", "q", ""],
  [["relevo", "a\nb"], "#", "q", ""],
  [["relevo~", "a\nb"], "#", "q", ""],
  [["relevo:", "a\nb"], "#", "q", ""],
  [["relevo:n", "a"], "#", "q", ""],
  [["relevo~n", ""], "#", "q", ""],
  [["relevoing", "a\nb\nc"], "#", "q", ""],
  [["relevO:n", "a\nb\nc"], "#", "q", ""],
  [["elevo:n", "a\nb\nc"], "#", "q", ""],
  [["relevo:n", "\nm"], "#", "n", "m"],
  [["relevo", "\n\nm"], "#", "q", "m"],
  [["relevo:n", "a\nm\nm"], "a", "n", "m\nm"],
  [["relevo", "a\nn\nm\nm"], "a", "n", "m\nm"],
  [["relevo::", "a\nm"], "a", ":", "m"],
  [["relevo:~", "a\nm"], "a", "~", "m"],
  [["relevo:n\0", "a\0\nm\0"], "a\0", "n\0", "m\0"],
  [["relevo:n\nn", "a\nm"], "a", "n\nn", "m"],
  [["relevo:n", "a\nm", "id", "b", "name", "o", "meta", "p"], "b", "o", "p"],
  [["id", "b", "name", "o", "meta", "p", "relevo:n", "a\nm"], "a", "n", "m"],
  [["relevo:n", "a\nm", "relevo", "b\no\np"], "b", "o", "p"],
  [["relevo", "b\no\np", "relevo:n", "a\nm"], "a", "n", "m"],
  [["relevo:n", "a\nm", "relevo:n", "x"], "a", "n", "m"],
  [["covered", "yes", "body", "yes", "id", "a"], "a", "q", ""],
];
for (const [fields, id, name, meta] of HOSTILE) {
  test(`an entry of another program with ${JSON.stringify(fields)} is the same job to every call`, async () => {
    const transport = open();
    const wanted = { id: id === "#" ? "#1000-0" : id, name, meta };
    await send("XADD", STREAM, "1000-0", ...fields, "payload", "{}");
    const listed = await transport.list("q", "waiting", { limit: 10, preview: 10 }, call);
    expect(listed.entries).toMatchObject([wanted]);
    expect(await transport.get("q", [wanted.id], call)).toMatchObject([wanted]);
    const delivery = await one(transport);
    expect(delivery).toMatchObject(wanted);
    await transport.settle([{ ...held(delivery), to: "failed", meta: "m", reason: "r" }], call);
    expect(await transport.get("q", [wanted.id], call)).toMatchObject([{
      ...wanted,
      meta: "m",
      channel: "failed",
    }]);
  });
}
