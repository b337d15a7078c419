/**
 * Groups come and go while jobs are under way, and none of them feels another's retries, deaths or lost leases.
 *
 * @module
 */

import { equal, ok, rejects } from "./assert.ts";
import { A, B, bind, C, gets, OWN, publish, shows, TOPIC, topicsOf } from "./fan.ts";
import { bytes, counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";
import type { Transport } from "../../contract/transport.ts";

const D = "orders@d";

/** One group completes, one tries again, one gives up, one loses its worker. */
async function independent(lab: Lab): Promise<void> {
  await bind(lab, "a", "b", "c", "d");
  await publish(lab, { id: "1" });
  const [[a], [b], [c]] = [await gets(lab, A, ["1"]), await gets(lab, B, ["1"]), await gets(lab, C, ["1"])];
  ok(a !== undefined && b !== undefined && c !== undefined, "three deliveries");
  const [d] = await lab.come(1, { queues: [D], lease: lab.brief });
  equal(d?.id, "1", "the fourth");
  equal(await lab.settle(a, { to: "done" }), "settled", "done");
  equal(await lab.settle(b, { to: "again", meta: "again", delay: lab.long }), "settled", "again");
  equal(await lab.settle(c, { to: "failed", meta: "dead", reason: "r" }), "settled", "failed");
  await lab.expire();
  const [back] = await lab.come(1, { queues: [D] });
  equal([back?.id, back?.lost], ["1", 1], "what came back");
  await lab.holds(counted(), "info of the group that is done", A);
  await lab.holds(counted({ delayed: 1 }), "info of the group that tries again", B);
  await lab.holds(counted({ failed: 1 }), "info of the group that gave up", C);
  await lab.holds(counted({ reserved: 1 }), "info of the group that lost its worker", D);
  equal(
    await lab.t.reload(C, "failed", "all", { ...lab.call, reset: false }),
    { reloaded: 1, taken: 0 },
    "reload",
  );
  const [again] = await gets(lab, C, ["1"]);
  equal([again?.meta, again?.queue], ["dead", C], "what was reloaded");
  equal(await lab.t.remove(B, "delayed", "all", lab.call), 1, "removed");
  equal((await lab.entry("1", D))?.channel, "reserved", "what is left of the others");
}

async function unbinding(lab: Lab): Promise<void> {
  const { bind: bindOne, unbind, groups } = topicsOf(lab.t);
  equal(await unbind(TOPIC, "a", lab.call), false, "unbind of what was never bound");
  await bind(lab, "a", "b");
  await publish(lab, { id: "1" });
  equal(await unbind(TOPIC, "a", lab.call), true, "unbind");
  equal(await unbind(TOPIC, "a", lab.call), false, "unbind once more");
  equal(await groups(TOPIC, lab.call), ["b"], "groups");
  await publish(lab, { id: "2" });
  equal(await unbind(TOPIC, "b", lab.call), true, "unbind of the last");
  await publish(lab, { id: "3" });
  await shows(lab, OWN, { waiting: 1 });
  await gets(lab, A, ["1"]);
  await gets(lab, B, ["1", "2"]);
  await bindOne(TOPIC, "c", lab.call);
  await bindOne(TOPIC, "a", lab.call);
  await publish(lab, { id: "4" });
  await gets(lab, C, ["3", "4"]);
  await gets(lab, A, ["4"]);
  await gets(lab, B, []);
}

/** A group that comes back finds the jobs that it left, and behind them those that waited for the next group. */
async function rebinding(lab: Lab): Promise<void> {
  await bind(lab, "a");
  await publish(lab, { id: "1" }, { id: "2" });
  await topicsOf(lab.t).unbind(TOPIC, "a", lab.call);
  await publish(lab, { id: "3" });
  await bind(lab, "a");
  await publish(lab, { id: "4" });
  await gets(lab, A, ["1", "2", "3", "4"]);
}

async function manyBind(lab: Lab): Promise<void> {
  const clients = await crew(lab);
  await publish(lab, { id: "1" }, { id: "2" });
  const names = ["c", "a", "b"];
  await Promise.all(
    clients.flatMap((client) => names.map((name) => topicsOf(client).bind(TOPIC, name, lab.call))),
  );
  for (const client of clients) {
    equal(await topicsOf(client).groups(TOPIC, lab.call), ["a", "b", "c"], "groups");
  }
  await publish(lab, { id: "3" });
  const waiting = await Promise.all(
    [A, B, C].map(async (queue) => (await lab.come(9, { queues: [queue] })).map(({ id }) => id)),
  );
  const sorted = waiting.map((ids) => ids.join()).sort();
  equal(sorted, ["1,2,3", "3", "3"], "what the groups got: one all that waited, each what came later");
}

/** Three clients where the store has several. */
async function crew(lab: Lab): Promise<readonly Transport[]> {
  return lab.subject.features.shared ? [lab.t, await lab.open(), await lab.open()] : [lab.t];
}

const ROUNDS = 30;

/** Pushes go on while a first group and then a second is bound: the first gets all, the second all from then on. */
async function bindUnderWay(lab: Lab): Promise<void> {
  const clients = await crew(lab);
  const all: string[] = [];
  const since: string[] = [];
  const binds: Promise<unknown>[] = [];
  let second = false;
  for (let round = 0; round < ROUNDS; round++) {
    if (round === ROUNDS / 3) {
      binds.push(...clients.map((client) => topicsOf(client).bind(TOPIC, "a", lab.call)));
    }
    if (round === 2 * ROUNDS / 3) {
      await Promise.all(binds);
      binds.push(topicsOf(lab.t).bind(TOPIC, "b", lab.call).then(() => second = true));
    }
    const bound = second;
    await Promise.all(clients.map(async (client, n) => {
      const jobs = [0, 1, 2].map((part) =>
        job({ queue: OWN, id: `${round}-${n}-${part}`, idWindow: lab.long })
      );
      equal(await client.push(jobs, lab.call), ["stored", "stored", "stored"], "push");
      all.push(...jobs.map(({ id }) => id));
      if (bound) since.push(...jobs.map(({ id }) => id));
    }));
  }
  await Promise.all(binds);
  equal(await publish(lab, { id: "last" }), ["stored"], "push");
  const first = await everything(lab, A);
  equal([...first].sort(), [...all, "last"].sort(), "what the first group got");
  const later = await everything(lab, B);
  equal(later.length, new Set(later).size, "jobs that the second group got");
  equal([...since, "last"].filter((id) => !later.includes(id)), [], "what the second group missed");
  await shows(lab, OWN, {});
}

/** The ids of the jobs that come to a queue up to the job that was pushed last. */
async function everything(lab: Lab, queue: string): Promise<readonly string[]> {
  const found: string[] = [];
  while (!found.includes("last")) {
    const more = await lab.come(50, { queues: [queue] });
    ok(more.length > 0, `the last job in ${queue} (found ${found.length} others)`);
    found.push(...more.map(({ id }) => id));
  }
  found.push(...(await lab.take(9, { queues: [queue] })).map(({ id }) => id));
  return found;
}

async function refusedReserve(lab: Lab): Promise<void> {
  await publish(lab, { id: "1" });
  for (const queues of [[OWN], ["work", OWN]]) {
    const reason = await rejects(lab.take(1, { queues }), `reserve from ${queues.join()}`);
    ok(reason instanceof TypeError || reason instanceof RangeError, "a TypeError or a RangeError");
  }
  await lab.holds(counted({ waiting: 1 }), "info", OWN);
}

async function survivesRestart(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  await publish(lab, { id: "1", idWindow: lab.long });
  await lab.push({ queue: "bills@", id: "2" });
  await lab.t[Symbol.asyncDispose]();
  await lab.subject.restart?.(lab.store);
  const t = await lab.open();
  const topics = topicsOf(t);
  equal(await topics.groups(TOPIC, lab.call), ["a", "b"], "groups");
  const results = await t.push(
    [job({ queue: OWN, id: "1", idWindow: 0 }), job({ queue: OWN, id: "3" })],
    lab.call,
  );
  equal(results, ["duplicate", "stored"], "push");
  await topics.bind("bills", "c", lab.call);
  for (const [queue, wanted] of [[A, ["1", "3"]], [B, ["1", "3"]], ["bills@c", ["2"]]] as const) {
    const found: string[] = [];
    while (found.length < wanted.length) {
      const more = await lab.come(9, { queues: [queue], from: t });
      ok(more.length > 0, `${wanted.join()} from ${queue} (found ${found.join() || "nothing"})`);
      found.push(...more.map(({ id }) => id));
    }
    equal(found, wanted, `what ${queue} gets`);
  }
}

async function inTransaction(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  const { transactions } = lab.t;
  const rolled = await lab.subject.transaction?.(lab.store);
  ok(transactions !== undefined && rolled !== undefined, "a transport and a subject with transactions");
  const push = (handle: object, id: string) =>
    transactions.push(handle, [job({ queue: OWN, id }), job({ queue: "bills@", id })], lab.call);
  equal(await push(rolled.handle, "never"), ["stored", "stored"], "push");
  await rolled.rollback();
  const kept = await lab.subject.transaction?.(lab.store);
  ok(kept !== undefined, "another transaction");
  equal(await push(kept.handle, "1"), ["stored", "stored"], "push");
  await lab.holds(counted(), "info before the commit", A);
  await kept.commit();
  for (const queue of [A, B]) await gets(lab, queue, ["1"]);
  await lab.holds(counted({ waiting: 1 }), "info of the topic without a group", "bills@");
}

/** No job is named `orders@a`, so that an entry which says no name is taken for the job of its topic. */
async function rawInGroup(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  await lab.subject.raw?.(lab.store, A, bytes("raw"));
  const [delivery] = await lab.come(1, { queues: [A] });
  ok(delivery !== undefined, "a delivery");
  equal([delivery.queue, delivery.name, delivery.payload], [A, TOPIC, bytes("raw")], "what it is");
  equal((await lab.entry(delivery.id, A))?.name, TOPIC, "its name where it is listed");
  equal(await lab.settle(delivery, { to: "done" }), "settled", "settle");
  equal(await lab.take(1, { queues: [B] }), [], "what the other group got");
}

/** The other cases of the group. */
export const GROUPS: readonly Claim[] = [
  claim("what one group does with a job is no other group's business", independent, "topics"),
  claim(
    "a group that is unbound keeps what it has and gets no more, and after the last jobs wait again",
    unbinding,
    "topics",
  ),
  claim("a group that is bound again goes on with what it left, then with what waited", rebinding, "topics"),
  claim("a group that is bound twice gets each job once", async (lab) => {
    await bind(lab, "a", "a");
    await publish(lab, { id: "1" });
    await bind(lab, "a");
    equal(await topicsOf(lab.t).groups(TOPIC, lab.call), ["a"], "groups");
    await gets(lab, A, ["1"]);
  }, "topics"),
  claim("a topic that nobody knows has no groups", async (lab) => {
    equal(await topicsOf(lab.t).groups("nobody's", lab.call), [], "groups");
  }, "topics"),
  claim("many clients bind at once: one group gets what waits, each gets what comes", manyBind, "topics"),
  claim("groups bound while pushes are under way lose nothing and double nothing", bindUnderWay, "topics"),
  claim("a reserve from a topic's own queue is refused", refusedReserve, "topics"),
  claim(
    "a topic's groups, its windows and what waits in it survive a restart",
    survivesRestart,
    "topics",
    "restart",
  ),
  claim(
    "what another program puts into a group's queue is named after the topic",
    rawInGroup,
    "topics",
    "raw",
  ),
  claim("a push to a topic joins a transaction as any other", inTransaction, "topics", "transaction"),
];
