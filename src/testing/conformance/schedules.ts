/**
 * Recurring jobs: each tick is pushed once, whichever worker sees it, and nothing of one queue touches another.
 *
 * @module
 */

import type { NewSchedule, Schedule, Schedules } from "../../contract/recurring.ts";
import type { Transport } from "../../contract/transport.ts";
import { between, equal, ok, only } from "./assert.ts";
import { bytes, counted, job, type Lab, QUEUE } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

function schedulesOf(transport: Transport): Schedules {
  ok(transport.schedules !== undefined, "a transport with schedules");
  return transport.schedules;
}

function schedule(lab: Lab, part: Partial<NewSchedule> = {}): NewSchedule {
  const { queue = QUEUE, key = "k", tick = past(lab), text = `{"every":1000}`, payload = bytes("p") } = part;
  return { queue, key, tick, text, payload };
}

/** An instant that has come by any clock that the case may meet. */
function past(lab: Lab): number {
  return Math.floor(lab.now()) - lab.slack - 1_000;
}

/** An instant that the case does not reach. */
function future(lab: Lab): number {
  return Math.floor(lab.now()) + lab.long;
}

async function all(lab: Lab, queue = QUEUE): Promise<readonly Schedule[]> {
  return (await schedulesOf(lab.t).list(queue, { limit: 100 }, lab.call)).schedules;
}

async function dueKeys(
  lab: Lab,
  queues: readonly string[] = [QUEUE],
  limit = 100,
): Promise<readonly string[]> {
  return (await schedulesOf(lab.t).due(queues, limit, lab.call)).schedules.map(({ key }) => key);
}

async function pages(lab: Lab): Promise<void> {
  const schedules = schedulesOf(lab.t);
  const keys = ["b", "a", "e", "d", "c", "ä b", "Z"];
  for (const key of keys) await schedules.put(schedule(lab, { key }), lab.call);
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await schedules.list(QUEUE, { limit: 3, cursor }, lab.call);
    ok(page.schedules.length <= 3, "at most three to a page");
    seen.push(...page.schedules.map(({ key }) => key));
    cursor = page.cursor;
  } while (cursor !== undefined);
  equal(seen, keys.toSorted((a, b) => (a < b ? -1 : 1)), "keys, sorted, each once");
}

async function onlyOneAdvances(lab: Lab): Promise<void> {
  const clients = lab.subject.features.shared ? [lab.t, await lab.open(), await lab.open()] : [lab.t];
  const tick = past(lab);
  await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, n) => {
      const client = clients[n % clients.length] ?? lab.t;
      const id = `tick-${tick}`;
      return schedulesOf(client).advance(
        QUEUE,
        "k",
        tick,
        tick + 1,
        job({ id, idWindow: lab.long }),
        lab.call,
      );
    }),
  );
  equal(results.filter((result) => result === "pushed").length, 1, "calls that advanced");
  await lab.holds(counted({ waiting: 1 }), "info");
  equal((await all(lab)).map((one) => one.tick), [tick + 1], "tick");
}

async function manyTicks(lab: Lab): Promise<void> {
  const clients = lab.subject.features.shared ? [lab.t, await lab.open()] : [lab.t];
  const start = past(lab) - 100;
  const ticks = 40;
  await schedulesOf(lab.t).put(schedule(lab, { tick: start }), lab.call);
  await Promise.all(clients.flatMap((client) => [0, 1].map(() => work(lab, client, start + ticks))));
  const ids = (await lab.take(100)).map(({ id }) => id).sort();
  const wanted = Array.from({ length: ticks }, (_, n) => `tick-${start + n}`).sort();
  equal(ids, wanted, "one job for each tick");
}

/** Moves the schedule on, as a worker does, until it has reached an instant. */
async function work(lab: Lab, client: Transport, end: number): Promise<void> {
  for (;;) {
    const found = (await schedulesOf(client).due([QUEUE], 1, lab.call)).schedules[0];
    if (found === undefined || found.tick >= end) return;
    const pushed = job({ id: `tick-${found.tick}`, idWindow: lab.long });
    await schedulesOf(client).advance(QUEUE, found.key, found.tick, found.tick + 1, pushed, lab.call);
  }
}

async function replacesOnlyFrom(lab: Lab): Promise<void> {
  const schedules = schedulesOf(lab.t);
  const put = schedule(lab, { tick: future(lab) });
  const other = { ...put, text: "other", tick: put.tick + 5 };
  equal(await schedules.put({ ...put, from: put.tick }, lab.call), "stale", "put in the place of none");
  equal(await all(lab), [], "listed");
  equal(await schedules.put({ ...put, from: "none" }, lab.call), "created", "put where none is");
  equal(await schedules.put({ ...put, from: "none" }, lab.call), "same", "put as it is");
  equal(await schedules.put({ ...other, from: "none" }, lab.call), "stale", "put where one is");
  equal(await schedules.put({ ...other, from: put.tick - 1 }, lab.call), "stale", "put from another tick");
  equal((await all(lab)).map(({ text, tick }) => [text, tick]), [[put.text, put.tick]], "listed");
  equal(await schedules.put({ ...other, from: put.tick }, lab.call), "replaced", "put from its tick");
  equal((await all(lab)).map(({ text, tick }) => [text, tick]), [[other.text, other.tick]], "listed");
}

async function takenIds(lab: Lab): Promise<void> {
  const schedules = schedulesOf(lab.t);
  const tick = past(lab);
  await schedules.put(schedule(lab, { tick }), lab.call);
  const pushed = job({ id: "same", idWindow: 0 });
  equal(await schedules.advance(QUEUE, "k", tick, tick + 1, pushed, lab.call), "pushed", "advance");
  equal(
    await schedules.advance(QUEUE, "k", tick + 1, tick + 2, { ...pushed, payload: bytes("2") }, lab.call),
    "duplicate",
    "advance while the id is live",
  );
  equal((await all(lab)).map((one) => one.tick), [tick + 2], "tick");
  await lab.holds(counted({ waiting: 1 }), "info");
  equal(await lab.settle(await lab.one(), { to: "done" }), "settled", "settle");
  equal(
    await schedules.advance(QUEUE, "k", tick + 2, tick + 3, pushed, lab.call),
    "pushed",
    "advance once the id is free",
  );
  await lab.holds(counted({ waiting: 1 }), "info");
}

/** The cases of the group. */
export const SCHEDULES: readonly Claim[] = [
  claim("a schedule is stored as it was put", async (lab) => {
    const put = schedule(lab, { key: "report ü", payload: Uint8Array.of(0, 255, 10), tick: future(lab) });
    equal(await schedulesOf(lab.t).put(put, lab.call), "created", "put");
    equal(await all(lab), [{ ...put, paused: false, note: "" }], "listed");
    equal(await all(lab, "other"), [], "listed in another queue");
    const empty = { ...put, payload: bytes("") };
    equal(await schedulesOf(lab.t).put(empty, lab.call), "replaced", "put with an empty payload");
    equal(await all(lab), [{ ...empty, paused: false, note: "" }], "listed with an empty payload");
  }, "schedules"),
  claim("put again as it was, a schedule keeps its tick", async (lab) => {
    const put = schedule(lab, { tick: future(lab) });
    await schedulesOf(lab.t).put(put, lab.call);
    equal(await schedulesOf(lab.t).put({ ...put, tick: put.tick + 5 }, lab.call), "same", "put again");
    equal((await all(lab)).map(({ tick }) => tick), [put.tick], "tick");
  }, "schedules"),
  claim("put with another text or payload, a schedule is replaced, and stays paused", async (lab) => {
    const put = schedule(lab, { tick: future(lab) });
    await schedulesOf(lab.t).put(put, lab.call);
    equal(await schedulesOf(lab.t).pause(QUEUE, "k", true, "n", lab.call), true, "pause");
    const other = { ...put, text: "other", tick: put.tick + 5 };
    equal(await schedulesOf(lab.t).put(other, lab.call), "replaced", "put with another text");
    equal(await all(lab), [{ ...other, paused: true, note: "n" }], "listed");
    const third = { ...other, payload: bytes("q") };
    equal(await schedulesOf(lab.t).put(third, lab.call), "replaced", "put with another payload");
    equal(await all(lab), [{ ...third, paused: true, note: "n" }], "listed");
  }, "schedules"),
  claim(
    "a schedule is put in the place of another only from the tick that is named",
    replacesOnlyFrom,
    "schedules",
  ),
  claim("a schedule is got by its key", async (lab) => {
    const schedules = schedulesOf(lab.t);
    const put = schedule(lab, { key: "ü 1", tick: future(lab) });
    equal(await schedules.get(QUEUE, put.key, lab.call), undefined, "before it is put");
    await schedules.put(put, lab.call);
    await schedules.put(schedule(lab, { key: "other" }), lab.call);
    equal(
      await schedules.get(QUEUE, put.key, lab.call),
      { ...put, paused: false, note: "" },
      "got",
    );
    equal(await schedules.get("elsewhere", put.key, lab.call), undefined, "from another queue");
  }, "schedules"),
  claim("the note of a pause is kept as it is, and is no part of what put compares", async (lab) => {
    const schedules = schedulesOf(lab.t);
    const put = schedule(lab, { tick: future(lab) });
    const note = `{"reason":"ü \\u0000 month's end"}`;
    await schedules.put(put, lab.call);
    await schedules.pause(QUEUE, "k", true, note, lab.call);
    equal(await all(lab), [{ ...put, paused: true, note }], "listed");
    equal(await schedules.put(put, lab.call), "same", "put again");
    equal(await all(lab), [{ ...put, paused: true, note }], "listed");
    await schedules.pause(QUEUE, "k", true, "another", lab.call);
    equal((await all(lab)).map((one) => one.note), ["another"], "note");
    await schedules.pause(QUEUE, "k", false, "", lab.call);
    equal(await all(lab), [{ ...put, paused: false, note: "" }], "listed once it goes on");
  }, "schedules"),
  claim("a queue that holds only a schedule is listed", async (lab) => {
    await schedulesOf(lab.t).put(schedule(lab, { queue: "b", tick: future(lab) }), lab.call);
    await lab.push({ queue: "a" });
    equal(await lab.t.queues(lab.call), ["a", "b"], "queues");
  }, "schedules"),
  claim(
    "a queue whose only schedule was removed is listed no more, but for one that held a job",
    async (lab) => {
      const schedules = schedulesOf(lab.t);
      for (const queue of ["a", "b", "c"]) {
        await schedules.put(schedule(lab, { queue, tick: future(lab) }), lab.call);
      }
      await lab.push({ queue: "b" });
      await lab.settle(await lab.one({ queues: ["b"] }), { to: "done" });
      equal(await lab.t.queues(lab.call), ["a", "b", "c"], "queues while each has one");
      for (const queue of ["a", "b"]) await schedules.remove(queue, "k", lab.call);
      equal(await lab.t.queues(lab.call), ["b", "c"], "queues");
    },
    "schedules",
  ),
  claim("what is due says what time it is by the clock that judged", async (lab) => {
    const schedules = schedulesOf(lab.t);
    const before = lab.now();
    const nothing = await schedules.due([], 10, lab.call);
    await schedules.put(schedule(lab), lab.call);
    const due = await schedules.due([QUEUE], 10, lab.call);
    for (const [now, what] of [[nothing.now, "of no queue"], [due.now, "of a queue"]] as const) {
      between(now, before - lab.slack - 1, lab.now() + lab.slack + 1, `time ${what}`);
    }
    for (const one of due.schedules) ok(one.tick <= due.now, "a tick that has come by that clock");
  }, "schedules"),
  claim("schedules are listed page by page, sorted by key", pages, "schedules"),
  claim("what is due is what has come, the earliest first, of the queues asked for", async (lab) => {
    const tick = past(lab);
    const schedules = schedulesOf(lab.t);
    await schedules.put(schedule(lab, { key: "second", tick: tick + 2 }), lab.call);
    await schedules.put(schedule(lab, { key: "first", tick, queue: "b" }), lab.call);
    await schedules.put(schedule(lab, { key: "third", tick: tick + 3 }), lab.call);
    await schedules.put(schedule(lab, { key: "late", tick: future(lab) }), lab.call);
    await schedules.put(schedule(lab, { key: "elsewhere", queue: "c", tick }), lab.call);
    equal(await dueKeys(lab, [QUEUE, "b"]), ["first", "second", "third"], "due");
    equal(await dueKeys(lab, [QUEUE, "b"], 2), ["first", "second"], "at most two");
    equal(await dueKeys(lab, []), [], "of no queue");
  }, "schedules"),
  claim("what is due says how long it is to the next", async (lab) => {
    const schedules = schedulesOf(lab.t);
    const { now: _, ...nothing } = await schedules.due([QUEUE], 10, lab.call);
    equal(nothing, { schedules: [] }, "of an empty queue");
    await schedules.put(schedule(lab, { tick: Math.floor(lab.now()) + 60_000 }), lab.call);
    const { schedules: due, next } = await schedules.due([QUEUE], 10, lab.call);
    equal(due, [], "due");
    between(next ?? -1, 60_000 - lab.ms(5_000) - lab.slack, 60_000 + lab.slack, "milliseconds to the next");
  }, "schedules"),
  claim("a schedule becomes due with time, not before", async (lab) => {
    await schedulesOf(lab.t).put(
      schedule(lab, { tick: Math.floor(lab.now()) + lab.slack + lab.ms(400) }),
      lab.call,
    );
    equal(await dueKeys(lab), [], "due at first");
    await lab.elapse(2 * lab.slack + lab.ms(500));
    equal(await dueKeys(lab), ["k"], "due then");
  }, "schedules"),
  claim("advance pushes the tick's job and moves the schedule on", async (lab) => {
    const tick = past(lab);
    const next = future(lab);
    await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
    const pushed = job({ id: "1", name: "report", meta: "m" });
    equal(await schedulesOf(lab.t).advance(QUEUE, "k", tick, next, pushed, lab.call), "pushed", "advance");
    equal((await all(lab)).map((one) => one.tick), [next], "tick");
    equal(await dueKeys(lab), [], "due");
    const delivery = only(await lab.come(), "deliveries");
    equal(
      [delivery.id, delivery.name, delivery.meta, delivery.payload],
      ["1", "report", "m", pushed.payload],
      "job",
    );
  }, "schedules"),
  claim("advance from another tick is stale and pushes nothing", async (lab) => {
    const tick = past(lab);
    await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
    const advance = (key: string, from: number): Promise<string> =>
      schedulesOf(lab.t).advance(QUEUE, key, from, future(lab), job(), lab.call);
    equal(await advance("k", tick - 1), "stale", "from an earlier tick");
    equal(await advance("k", tick + 1), "stale", "from a later tick");
    equal(await advance("none", tick), "stale", "of a schedule that is not there");
    await lab.holds(counted(), "info");
    equal((await all(lab)).map((one) => one.tick), [tick], "tick");
  }, "schedules"),
  claim("advance without a next tick ends the schedule", async (lab) => {
    const tick = past(lab);
    await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
    equal(
      await schedulesOf(lab.t).advance(QUEUE, "k", tick, undefined, job(), lab.call),
      "pushed",
      "advance",
    );
    equal(await all(lab), [], "listed");
    await lab.holds(counted({ waiting: 1 }), "info");
  }, "schedules"),
  claim("advance without a job leaves its tick out", async (lab) => {
    const tick = past(lab);
    const next = future(lab);
    await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
    equal(
      await schedulesOf(lab.t).advance(QUEUE, "k", tick, next, undefined, lab.call),
      "none",
      "advance",
    );
    await lab.holds(counted(), "info");
    equal((await all(lab)).map((one) => one.tick), [next], "tick");
  }, "schedules"),
  claim("a paused schedule is never due and not advanced, and goes on with its tick", async (lab) => {
    const tick = past(lab);
    const schedules = schedulesOf(lab.t);
    await schedules.put(schedule(lab, { tick }), lab.call);
    equal(await schedules.pause(QUEUE, "k", true, "n", lab.call), true, "pause");
    equal(await dueKeys(lab), [], "due while paused");
    equal(
      await schedules.advance(QUEUE, "k", tick, tick + 1, job(), lab.call),
      "stale",
      "advance while paused",
    );
    await lab.holds(counted(), "info");
    equal(await schedules.pause(QUEUE, "k", false, "", lab.call), true, "go on");
    equal(await dueKeys(lab), ["k"], "due again");
    equal(await schedules.pause(QUEUE, "none", true, "n", lab.call), false, "pause of one that is not there");
  }, "schedules"),
  claim("a removed schedule is gone, and what it pushed stays", async (lab) => {
    const tick = past(lab);
    const schedules = schedulesOf(lab.t);
    await schedules.put(schedule(lab, { tick }), lab.call);
    await schedules.put(schedule(lab, { tick, key: "other" }), lab.call);
    await schedules.advance(QUEUE, "k", tick, tick + 1, job(), lab.call);
    equal(await schedules.remove(QUEUE, "k", lab.call), true, "remove");
    equal(await schedules.remove(QUEUE, "k", lab.call), false, "remove again");
    equal((await all(lab)).map(({ key }) => key), ["other"], "listed");
    await lab.holds(counted({ waiting: 1 }), "info");
    equal(await schedules.put(schedule(lab, { tick }), lab.call), "created", "put anew");
  }, "schedules"),
  claim("advance says that its job's id is taken, and moves the schedule on", takenIds, "schedules"),
  claim("of many who advance one tick, one does", onlyOneAdvances, "schedules"),
  claim("several workers push each tick of a schedule once", manyTicks, "schedules"),
  claim("an advance wakes who waits for a job", async (lab) => {
    const tick = past(lab);
    await schedulesOf(lab.t).put(schedule(lab, { tick }), lab.call);
    const waiting = lab.take(1, { wait: lab.long });
    await lab.elapse(lab.ms(50));
    await schedulesOf(lab.t).advance(QUEUE, "k", tick, tick + 1, job({ id: "1" }), lab.call);
    equal(
      only(await lab.within(waiting, lab.ms(2_000), "the reserve that waits"), "deliveries").id,
      "1",
      "id",
    );
  }, "schedules"),
  claim(
    "another client sees the same schedules",
    async (lab) => {
      await schedulesOf(lab.t).put(schedule(lab, { tick: future(lab) }), lab.call);
      const other = await lab.open();
      const { schedules } = await schedulesOf(other).list(QUEUE, { limit: 10 }, lab.call);
      equal(schedules, await all(lab), "listed by another");
    },
    "schedules",
    "shared",
  ),
  claim(
    "schedules survive a restart",
    async (lab) => {
      const put = schedule(lab, { tick: future(lab) });
      await schedulesOf(lab.t).put(put, lab.call);
      await lab.subject.restart?.(lab.store);
      let listed: readonly Schedule[] | undefined;
      for (let tries = 0; listed === undefined && tries < 200; tries++) {
        listed = await all(lab).catch(() => undefined);
        if (listed === undefined) await lab.elapse(lab.ms(50));
      }
      equal(listed, [{ ...put, paused: false, note: "" }], "listed after the restart");
    },
    "schedules",
    "restart",
  ),
];
