import { expect, test } from "vitest";
import { createRelay, deadLetter, memory, type Relay } from "../../../mod.ts";
import type { Desk } from "../../../src/operate/operation.ts";
import { operationOf, operations } from "../../../src/operate/table.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { free, rejection } from "../support/kit.ts";
import * as v from "valibot";

interface Place {
  readonly relay: Relay<
    { readonly mail: ReturnType<typeof free<number>>; readonly bill: ReturnType<typeof free<number>> }
  >;
  readonly runtime: FakeRuntime;
  readonly desk: Desk;
}

function place(): Place {
  const runtime = createFakeRuntime();
  const relay = createRelay({
    jobs: { mail: free<number>(), bill: free<number>() },
    transport: memory({ runtime }),
    runtime,
  });
  return { relay, runtime, desk: { relay, now: runtime.now } };
}

/** So many dead jobs, every other one a bill; mails are refused, bills returned. */
async function dead({ relay, runtime }: Place, count: number): Promise<void> {
  relay.handle("mail", () => deadLetter({ reason: "refused by the mailer" }), { replace: true });
  relay.handle("bill", () => deadLetter({ reason: "no such bill" }), { replace: true });
  await relay.dispatchMany(
    Array.from({ length: count }, (_, n) => ({ name: n % 2 === 0 ? "mail" : "bill", payload: n }) as const),
  );
  await relay.drain();
  await runtime.advance(1);
}

async function run(desk: Desk, name: string, input: object = {}): Promise<unknown> {
  const operation = operationOf(name);
  const output = await operation.run(desk, input);
  // What a face prints or sends is what the schema of the answer says.
  expect(v.parse(operation.output, output)).toEqual(output);
  return output;
}

async function preview(desk: Desk, name: string, input: object = {}) {
  const found = await operationOf(name).preview?.(desk, input);
  if (found === undefined) throw new Error(`'${name}' has no preview`);
  return found;
}

test("each operation has a noun, a verb, one sentence, and a preview if it writes to many", () => {
  for (const [name, { about, kind, preview }] of operations) {
    expect(name).toMatch(/^[a-z]+\.[a-z]+$/);
    expect(about).toMatch(/^[A-Z].*\.$/);
    if (/^(jobs|dead)\.(remove|reload)$/.test(name)) {
      expect([name, kind, preview !== undefined]).toEqual([name, "write", true]);
    }
  }
});

test("queues are listed with their counts", async () => {
  const { relay, desk } = place();
  await relay.dispatch("mail", 1);
  await relay.dispatch("mail", 2, { delay: 1_000 });
  const counts = { waiting: 1, delayed: 1, reserved: 0, failed: 0, timeout: 0, oldest: 0 };
  expect(await run(desk, "queues.list")).toEqual({ queues: [{ queue: "default", ...counts }] });
});

test("jobs are listed by pages, without their payloads unless asked for", async () => {
  const { relay, desk } = place();
  for (const n of [1, 2, 3]) await relay.dispatch("mail", n, { id: `${n}` });
  const first = await run(desk, "jobs.list", { limit: 2 });
  expect(first).toMatchObject({ jobs: [{ id: "1", name: "mail", channel: "waiting" }, { id: "2" }] });
  expect(first).not.toHaveProperty("jobs.0.payload");
  const { cursor } = first as { readonly cursor?: string };
  expect(await run(desk, "jobs.list", { limit: 2, cursor, payload: true })).toMatchObject({
    jobs: [{ id: "3", payload: "3" }],
  });
});

test("dead jobs are listed through their channels, and shown with their reasons", async () => {
  const here = place();
  await dead(here, 5);
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await run(here.desk, "dead.list", { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
    const { jobs, cursor: next } = page as { jobs: readonly { id: string }[]; cursor?: string };
    ids.push(...jobs.map(({ id }) => id));
    cursor = next;
  } while (cursor !== undefined);
  expect([ids.length, new Set(ids).size]).toEqual([5, 5]);
  const shown = await run(here.desk, "dead.show", { id: ids[0] });
  expect(shown).toMatchObject({ id: ids[0], channel: "failed", dead: { reason: "refused by the mailer" } });
});

test("a reload does what its preview showed: by name or reason, and nothing that died later", async () => {
  const here = place();
  await dead(here, 6);
  const input = { reason: "no such bill" };
  const { count, atLeast, sample, token } = await preview(here.desk, "dead.reload", input);
  expect([count, atLeast, sample.map(({ name }) => name)]).toEqual([3, false, ["bill", "bill", "bill"]]);
  await here.runtime.advance(1);
  await dead(here, 2);
  expect(await run(here.desk, "dead.reload", { ...input, token })).toEqual({ reloaded: 3, taken: 0 });
  expect(await here.relay.info()).toMatchObject({ waiting: 3, failed: 5 });
});

test("a write is refused without its preview's token, by that of another input, and after ten minutes", async () => {
  const here = place();
  await dead(here, 2);
  const refused = async (input: object, wanted: string): Promise<void> => {
    const error = await rejection(operationOf("dead.remove").run(here.desk, input));
    expect(error).toMatchObject({ name: "Refusal", kind: "conflict" });
    expect(error.message).toContain(wanted);
  };
  await refused({}, "without the token of its preview");
  const { token } = await preview(here.desk, "dead.remove");
  await refused({ name: "mail", token }, "of another preview");
  await refused({ token: `${token}0` }, "of another preview");
  await refused({ token: "0-0" }, "of another preview");
  await here.runtime.advance(600_001);
  await refused({ token }, "older than 10 minutes");
  expect(await here.relay.info()).toMatchObject({ failed: 2 });
});

test("the token of another operation, or of a preview to come, allows nothing", async () => {
  const here = place();
  await dead(here, 1);
  const { token } = await preview(here.desk, "dead.reload");
  const remove = operationOf("dead.remove");
  await expect(remove.run(here.desk, { token })).rejects.toThrow("of another preview");
  const later = await preview({ ...here.desk, now: () => here.runtime.now() + 60_000 }, "dead.remove");
  await expect(remove.run(here.desk, { token: later.token })).rejects.toThrow("older than 10 minutes");
});

test("waiting jobs are removed by name, and those stored after the preview stay", async () => {
  const { relay, runtime, desk } = place();
  await relay.dispatch("mail", 1);
  await relay.dispatch("bill", 2);
  await runtime.advance(1);
  const { count, token } = await preview(desk, "jobs.remove", { channel: "waiting", name: "mail" });
  await runtime.advance(1);
  await relay.dispatch("mail", 3);
  expect(count).toBe(1);
  expect(await run(desk, "jobs.remove", { channel: "waiting", name: "mail", token })).toEqual({ removed: 1 });
  expect(await relay.info()).toMatchObject({ waiting: 2 });
});

test("a preview counts ten thousand at most, and says that there are more", async () => {
  const here = place();
  for (let n = 0; n < 2; n++) await dead(here, 5_500);
  const { count, atLeast, sample } = await preview(here.desk, "dead.remove");
  expect([count, atLeast, sample.length]).toEqual([10_000, true, 5]);
  const all = await preview(here.desk, "dead.remove", { name: "bill" });
  expect([all.count, all.atLeast]).toEqual([5_500, false]);
});

test("a long removal tells its progress, and is stopped between two pages", async () => {
  const here = place();
  await dead(here, 2_500);
  const { token } = await preview(here.desk, "dead.remove");
  const stop = new AbortController();
  const told: number[] = [];
  const progress = (done: number): void => {
    told.push(done);
    if (done === 2_000) stop.abort(new Error("enough"));
  };
  const removal = operationOf("dead.remove").run(here.desk, { token }, { signal: stop.signal, progress });
  await expect(removal).rejects.toThrow("enough");
  expect(told).toEqual([1_000, 2_000]);
  expect(await here.relay.info()).toMatchObject({ failed: 500 });
});

test.each([
  ["jobs.list", { queue: "" }, "'queue' must be a non-empty string: current value is \"\""],
  [
    "jobs.list",
    { channel: "dead" },
    "'channel' must be one of 'waiting', 'delayed', 'reserved', 'failed', 'timeout': current value is \"dead\"",
  ],
  ["jobs.list", { limit: 0 }, "'limit' must be a whole number from 1 to 1000: current value is 0"],
  ["jobs.list", { limt: 1 }, "there is no 'limt': there are queue, limit, cursor, payload, channel"],
  [
    "dead.list",
    { channels: ["waiting"] },
    "'channels.0' must be one of 'failed', 'timeout': current value is \"waiting\"",
  ],
  [
    "dead.list",
    { cursor: "elsewhere" },
    "'cursor' must be that of a page of these channels: current value is",
  ],
  ["dead.reload", { attempts: 3 }, "'attempts' must be one of 'keep', 'reset': current value is 3"],
  ["dead.remove", { ids: [] }, "'ids' must name a job: current value is a list of 0"],
  ["queues.list", "all", "'input' must be an object: current value is \"all\""],
  ["jobs.show", {}, "'id' is missing"],
  ["dead.reload", [], "'input' must be an object: current value is a list"],
])("%s refuses %j before it does anything", async (name, input, wanted) => {
  const error = await rejection(operationOf(name).run(place().desk, input));
  expect(error).toMatchObject({ name: "Refusal", kind: "input" });
  expect(error.message).toContain(wanted);
});

test("what is not there is named: an operation, a job, a dead one", async () => {
  const { relay, desk } = place();
  await relay.dispatch("mail", 1, { id: "alive" });
  expect(() => operationOf("dead.revive")).toThrow("there are queues.list, jobs.list");
  const missing = (name: string, id: string) => rejection(operationOf(name).run(desk, { id }));
  expect(await missing("jobs.show", "gone")).toMatchObject({ kind: "missing" });
  expect(await missing("dead.show", "alive")).toMatchObject({ kind: "missing" });
});
