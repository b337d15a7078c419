/** Recurring jobs over NATS, by the real clock: F129, F150, W100 with schedules, and what operators do with them. */
import { expect, test } from "vitest";
import { createRelay, every, type Relay } from "../../../mod.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";

const PERIOD = 400;
const HOUR = 3_600_000;
const PATIENCE = 120_000;
const jobs = {
  report: { schema: free<string>(), queue: "reports" },
  mail: { schema: free<string>(), queue: "mails" },
};

describeOn(["nats"], "Schedules over NATS", () => {
  const server = owned(() => startNats());
  const fresh = (): string => `s${crypto.randomUUID()}`;

  async function open(prefix: string = fresh()): Promise<Relay<typeof jobs>> {
    return createRelay({ jobs, transport: nats({ servers: (await server()).url, prefix }), log: false });
  }

  test("F129: each tick has one job, at attempt 1 also where one fails (W100), whichever of two workers pushes it", async () => {
    const prefix = fresh();
    const start = Date.now() - PERIOD;
    const seen: { readonly tick: number; readonly attempt: number }[] = [];
    const relays = [await open(prefix), await open(prefix)];
    for (const relay of relays) {
      relay.handle("report", (_, { job, attempt }) => {
        seen.push({ tick: Number(job.tick) - start, attempt });
        if (seen.length === 2) throw new Error("once");
      });
    }
    expect(await relays[0]?.schedule("report", "x", { when: every(PERIOD), start, missed: "all" })).toBe(
      "created",
    );
    expect(await relays[1]?.schedule("report", "x", { when: every(PERIOD), start, missed: "all" })).toBe(
      "same",
    );
    const told = relays.map((relay) => heard(relay.events, "tick"));
    const workers = relays.map((relay) => running(relay, { poll: 100, maxRetry: 1 }));
    await expect.poll(() => seen.length, { timeout: PATIENCE }).toBeGreaterThanOrEqual(6);
    for (const worker of workers) await worker.abort();
    // What was on its way to one of them goes back a moment later, and is behind a tick that the other has handled.
    const ran = (): readonly number[] => seen.map(({ tick }) => tick).sort((a, b) => a - b);
    await becomes("what went back has run", async () => {
      await relays[0]?.drain();
      const stored = told.flat().filter(({ result }) => result === "stored");
      return seen.length >= stored.length && ran().at(-1) === (seen.length - 1) * PERIOD;
    });
    expect(ran()).toEqual(seen.map((_, n) => n * PERIOD));
    expect(seen.filter(({ attempt }) => attempt !== 1)).toEqual([]);
    for (const relay of relays) await relay.close();
  });

  test.each(
    [
      ["once", [9]],
      ["skip", []],
      ["all", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ] as const,
  )(
    "after a stop of ten ticks 'missed: %s' pushes those that it says (F150: by a drain)",
    async (missed, wanted) => {
      const relay = await open();
      const ticks: number[] = [];
      const left = heard(relay.events, "missed");
      // The newest is more than a minute late, and the next far away.
      const start = Date.now() - 9.5 * HOUR;
      relay.handle("report", (_, { job }) => void ticks.push((Number(job.tick) - start) / HOUR));
      await relay.schedule("report", "x", { when: every(HOUR), start, missed });
      await relay.drain();
      await relay.drain();
      expect(ticks).toEqual(wanted);
      expect(left.map(({ count }) => count)).toEqual(missed === "all" ? [] : [10 - wanted.length]);
      expect((await relay.schedules.list()).schedules.map(({ next }) => (next - start) / HOUR)).toEqual([10]);
      await relay.close();
    },
  );

  test("what is paused has no tick until it goes on, 'run' pushes beside the ticks, and what was removed is gone", async () => {
    const relay = await open();
    const ticks: (number | undefined)[] = [];
    relay.handle("report", (_, { job }) => void ticks.push(job.tick));
    const start = Date.now() - HOUR / 2;
    await relay.schedule("report", "x", { when: every(HOUR), start, key: "k" });
    expect(await relay.schedules.pause("k", { reason: "holidays", by: "ops" })).toBe(true);
    await relay.drain();
    expect(ticks).toEqual([]);
    expect((await relay.schedules.list()).schedules[0]?.paused).toMatchObject({
      reason: "holidays",
      by: "ops",
    });
    await relay.schedules.run("k");
    await relay.drain();
    expect(ticks).toEqual([undefined]);
    expect(await relay.schedules.resume("k")).toBe(true);
    await relay.drain();
    expect(ticks).toEqual([undefined, start]);
    expect(await relay.schedules.preview("k", 2)).toEqual([start + HOUR, start + 2 * HOUR]);
    expect(await relay.schedules.remove("k")).toBe(true);
    expect((await relay.schedules.list()).schedules).toEqual([]);
    await relay.close();
  });

  test("'overlap: skip' pushes no job beside one that waits, and 'sync' touches only what its owner stored", async () => {
    const relay = await open();
    const start = Date.now() - 2.5 * HOUR;
    const put = { when: every(HOUR), start, overlap: "skip", missed: "all" } as const;
    await relay.schedule("report", "x", { ...put, key: "mine" });
    const stopped = relay.worker({ queues: ["mails"] });
    const run = stopped.run();
    await expect.poll(async () => (await relay.schedules.list()).schedules[0]?.next, { timeout: PATIENCE })
      .toBe(start + 3 * HOUR);
    expect((await relay.info("reports")).waiting).toBe(1);
    await stopped.stop();
    await run;
    const list = [{ name: "mail", payload: "y", key: "synced", when: every(HOUR) }] as const;
    expect(await relay.schedules.sync(list, { owner: "a" })).toMatchObject({ created: ["synced"] });
    expect(await relay.schedules.sync([], { owner: "b" })).toMatchObject({ removed: [] });
    expect(await relay.schedules.sync([], { owner: "a" })).toMatchObject({ removed: ["synced"] });
    expect((await relay.schedules.list()).schedules.map(({ key }) => key)).toEqual(["mine"]);
    await relay.close();
  });
});
