/**
 * A job that is pushed to a topic goes to each of its groups, as a job of its own there; while there is none it waits.
 *
 * @module
 */

import { AtomicLimitError } from "../../errors.ts";
import { topicQueue } from "../../names.ts";
import { between, equal, ok } from "./assert.ts";
import { A, B, bind, C, gets, OWN, publish, shows, topicsOf } from "./fan.ts";
import { bytes, counted, job, type Lab } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";
import type { Need } from "./subject.ts";

const TOPICS_NEED: Need = "topics";

async function everyGroup(lab: Lab): Promise<void> {
  await bind(lab, "a", "b", "c");
  const jobs = ["1", "2", "3"].map((id) =>
    job({ queue: OWN, id, name: `name ${id}`, payload: bytes(`payload ${id}`), meta: `{"v":1,"of":"${id}"}` })
  );
  equal(await lab.t.push(jobs, lab.call), ["stored", "stored", "stored"], "push");
  for (const queue of [A, B, C]) {
    const found = await gets(lab, queue, ["1", "2", "3"]);
    for (const [index, { id, name, payload, meta }] of jobs.entries()) {
      const { token: _, due: __, lease: ___, ...delivery } = found[index] ?? {};
      equal(
        delivery,
        { queue, id, name, payload, meta, lost: 0, reset: false },
        `delivery ${id} from ${queue}`,
      );
    }
    equal(new Set(found.map(({ token }) => token)).size, 3, "tokens");
  }
  await lab.holds(counted(), "info of the topic itself", OWN);
}

async function apart(lab: Lab): Promise<void> {
  await bind(lab, "a");
  await topicsOf(lab.t).bind("bills", "a", lab.call);
  await lab.push({ queue: OWN, id: "1" }, { queue: "bills@", id: "2" }, { queue: "orders", id: "3" }, {
    queue: "a",
    id: "4",
  });
  await gets(lab, A, ["1"]);
  await gets(lab, "bills@a", ["2"]);
  await gets(lab, "orders", ["3"]);
  await gets(lab, "a", ["4"]);
}

/** Each group's jobs are shared by its members, each of which is a client of its own where the store has several. */
async function members(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  const clients = [lab.t, lab.subject.features.shared ? await lab.open() : lab.t];
  const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
  await publish(lab, ...ids.map((id) => ({ id })));
  for (const queue of [A, B]) {
    const found: string[] = [];
    for (let idle = 0; found.length < ids.length && idle < 15;) {
      // One may have got the job that the other waits for.
      const wanted = { queues: [queue], wait: lab.ms(200) };
      const parts = await Promise.all(clients.map((from) => lab.come(7, { ...wanted, from })));
      found.push(...parts.flat().map(({ id }) => id));
      idle = parts.flat().length === 0 ? idle + 1 : 0;
    }
    equal(found.sort(), [...ids].sort(), `what the members of ${queue} got together`);
    equal(await lab.take(1, { queues: [queue] }), [], "what is left");
  }
}

async function waits(lab: Lab): Promise<void> {
  const ids = Array.from({ length: 5 }, (_, n) => `${n}`);
  for (const id of ids) await publish(lab, { id });
  await lab.holds(counted({ waiting: 5 }), "info of the topic", OWN);
  await bind(lab, "a");
  await shows(lab, OWN, {});
  await bind(lab, "b");
  await publish(lab, { id: "next" });
  await gets(lab, A, [...ids, "next"]);
  await gets(lab, B, ["next"]);
}

async function wholeBacklog(lab: Lab): Promise<void> {
  const total = Math.min(2_500, lab.t.limits.bulk);
  const ids = Array.from({ length: total }, (_, n) => `${n}`);
  await publish(lab, ...ids.map((id) => ({ id })));
  await bind(lab, "a", "b");
  await shows(lab, OWN, {});
  await gets(lab, A, ids);
  await gets(lab, B, []);
}

/** Delays hold in each group, whether the job came before the group or after it. */
async function delays(lab: Lab): Promise<void> {
  const [soon, late] = [lab.ms(1_000), lab.ms(2_000)];
  const before = lab.now();
  await publish(lab, { id: "late", delay: late }, { id: "before", delay: soon });
  await lab.holds(counted({ delayed: 2 }), "info of the topic", OWN);
  await bind(lab, "a", "b");
  await publish(lab, { id: "after", delay: soon });
  const after = lab.now();
  equal(await lab.take(9, { queues: [A, B] }), [], "what is there before it is due");
  await shows(lab, A, { delayed: 3 });
  await shows(lab, B, { delayed: 1 });
  await lab.elapse(late);
  const found = await gets(lab, A, ["before", "after", "late"]);
  for (const { id, due } of [...found, ...await gets(lab, B, ["after"])]) {
    const delay = id === "late" ? late : soon;
    between(due, before + delay - lab.slack, after + delay + lab.slack, `due time of ${id}`);
  }
}

/** An id is refused for as long as any group holds its job. */
async function liveAnywhere(lab: Lab): Promise<void> {
  const x = { id: "x", idWindow: 0 };
  equal(await publish(lab, x), ["stored"], "push without a group");
  equal(await publish(lab, x), ["duplicate"], "push while it waits in the topic");
  await bind(lab, "a", "b");
  equal(await publish(lab, x), ["duplicate"], "push while the first group has it");
  const [first] = await gets(lab, A, ["x"]);
  ok(first !== undefined, "a delivery");
  equal(await lab.settle(first, { to: "done" }), "settled", "settle");
  equal(await publish(lab, x), ["stored"], "push when it is done");
  const [inA] = await gets(lab, A, ["x"]);
  ok(inA !== undefined, "a delivery");
  equal(await lab.settle(inA, { to: "done" }), "settled", "settle by one group");
  equal(await publish(lab, x), ["duplicate"], "push while the other has it");
  equal(await lab.take(1, { queues: [A] }), [], "what a refused push brought");
  const [inB] = await gets(lab, B, ["x"]);
  ok(inB !== undefined, "a delivery");
  equal(await lab.settle(inB, { to: "failed", meta: "m", reason: "r" }), "settled", "death in the other");
  equal(await publish(lab, x), ["stored"], "push when no group has it");
}

async function windows(lab: Lab): Promise<void> {
  equal(await publish(lab, { id: "early", idWindow: lab.long }), ["stored"], "push without a group");
  await bind(lab, "a");
  equal(await publish(lab, { id: "x", idWindow: lab.ms(600) }), ["stored"], "push");
  for (const delivery of await gets(lab, A, ["early", "x"])) await lab.settle(delivery, { to: "done" });
  const again = await publish(lab, { id: "x", idWindow: 0 }, { id: "early", idWindow: 0 });
  equal(again, ["duplicate", "duplicate"], "push within the windows");
  await bind(lab, "b");
  equal(await publish(lab, { id: "early", idWindow: 0 }), ["duplicate"], "push with another group");
  equal(await lab.push({ queue: "orders", id: "early", idWindow: 0 }), ["stored"], "push to a plain queue");
  await lab.elapse(lab.ms(700));
  equal(await publish(lab, { id: "x", idWindow: 0 }), ["stored"], "push after the window");
  await gets(lab, B, ["x"]);
}

async function batches(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  const x = { id: "x", idWindow: lab.long };
  equal(
    await lab.push({ queue: OWN, ...x }, { queue: "work", ...x }, { queue: OWN, ...x }, {
      queue: OWN,
      id: "y",
    }, {
      queue: "bills@",
      ...x,
    }),
    ["stored", "stored", "duplicate", "stored", "stored"],
    "results",
  );
  for (const queue of [A, B]) await gets(lab, queue, ["x", "y"]);
  await gets(lab, "work", ["x"]);
  await lab.holds(counted({ waiting: 1 }), "info of the topic without a group", "bills@");
}

async function atomic(lab: Lab): Promise<void> {
  await bind(lab, "a", "b");
  await publish(lab, { id: "held", idWindow: lab.long });
  const [held] = await gets(lab, A, ["held"]);
  ok(held !== undefined, "a delivery");
  await lab.settle(held, { to: "done" });
  const others = [job({ queue: "work", id: "1" }), job({ queue: "bills@", id: "3", delay: lab.long })];
  const own = job({ queue: OWN, id: "2", idWindow: lab.long });
  const call = { ...lab.call, atomic: true };
  // Where batches have a limit of their own they are of one topic.
  const mixed = lab.t.limits.atomic === undefined ? others : [];
  if (mixed.length === 0) {
    const answer = await lab.t.push([...others, own], call).catch((error: unknown) => error);
    ok(answer instanceof AtomicLimitError, "a batch of several queues is refused with an AtomicLimitError");
    for (const one of others) equal(await lab.t.push([one], call), ["stored"], "alone");
  }
  const batch = [...mixed, own, job({ queue: OWN, id: "held", idWindow: lab.long })];
  const withheld = [...mixed, own].map(() => "withheld");
  equal(await lab.t.push(batch, call), [...withheld, "duplicate"], "results");
  await lab.holds(counted(), `info of ${A}`, A);
  for (const { queue } of mixed) await lab.holds(counted(), `info of ${queue}`, queue);
  const sound = batch.slice(0, -1);
  equal(await lab.t.push(sound, call), sound.map(() => "stored"), "the batch without it");
  await gets(lab, "work", ["1"]);
  await gets(lab, A, ["2"]);
  await gets(lab, B, ["held", "2"]);
  await lab.holds(counted({ delayed: 1 }), "info of the topic without a group", "bills@");
  const twice = [job({ queue: OWN, id: "z", idWindow: 0 }), job({ queue: OWN, id: "z", idWindow: 0 })];
  equal(await lab.t.push(twice, call), ["withheld", "duplicate"], "two equal ids");
  equal(await lab.take(1, { queues: [A, B] }), [], "what they left");
}

async function wakes(lab: Lab): Promise<void> {
  await publish(lab, { id: "1" });
  const waitIn = (queue: string) => lab.take(9, { queues: [queue], wait: lab.long });
  const first = waitIn(A);
  await lab.elapse(lab.ms(50));
  await bind(lab, "a");
  equal((await lab.within(first, lab.ms(3_000), "bind")).map(({ id }) => id), ["1"], "what a bind brings");
  await bind(lab, "b");
  const both = Promise.all([waitIn(A), waitIn(B)]);
  await lab.elapse(lab.ms(50));
  await publish(lab, { id: "2" });
  const found = await lab.within(both, lab.ms(3_000), "push");
  equal(found.map((deliveries) => deliveries.map(({ id }) => id)), [["2"], ["2"]], "what a push brings");
}

async function ownQueue(lab: Lab): Promise<void> {
  await publish(lab, { id: "1" }, { id: "2" }, { id: "3" }, { id: "4", delay: lab.long });
  await lab.holds(counted({ waiting: 3, delayed: 1 }), "info", OWN);
  equal(
    (await lab.entries("waiting", OWN)).map(({ id, queue }) => [id, queue]),
    ["1", "2", "3"].map((id) => [id, OWN]),
    "list",
  );
  equal((await lab.entry("2", OWN))?.channel, "waiting", "get");
  equal((await lab.t.queues(lab.call)).includes(OWN), true, "that queues names the topic");
  equal(await lab.t.remove(OWN, "waiting", { ids: ["2"] }, lab.call), 1, "removed by id");
  equal(await lab.t.remove(OWN, "delayed", "all", lab.call), 1, "removed by channel");
  equal(
    await lab.t.reload(OWN, "failed", "all", { ...lab.call, reset: false }),
    { reloaded: 0, taken: 0 },
    "reload",
  );
  await bind(lab, "a");
  await gets(lab, A, ["1", "3"]);
  await shows(lab, OWN, {});
  equal((await lab.t.queues(lab.call)).includes(A), true, "that queues names the group's queue");
}

/** The job of a recurring tick goes where any job of the topic goes. */
async function ticks(lab: Lab): Promise<void> {
  const { schedules } = lab.t;
  ok(schedules !== undefined, "a transport with schedules");
  await bind(lab, "a", "b");
  const tick = Math.floor(lab.now()) - lab.slack - 1_000;
  await schedules.put({ queue: OWN, key: "k", tick, text: "{}", payload: bytes("p") }, lab.call);
  const due = await schedules.due([OWN], 9, lab.call);
  equal(due.schedules.map(({ queue, key }) => [queue, key]), [[OWN, "k"]], "what is due");
  const next = tick + lab.long;
  equal(
    await schedules.advance(OWN, "k", tick, next, job({ queue: OWN, id: "1" }), lab.call),
    "pushed",
    "advance",
  );
  for (const queue of [A, B]) await gets(lab, queue, ["1"]);
  await lab.holds(counted(), "info of the topic itself", OWN);
}

const NAMES = [
  "__proto__",
  "with space",
  "dots.in.a.row",
  "greater.>",
  "colon:{brace}[bracket]",
  "日本語",
  "quote'\"`",
  "\uFEFF first",
];

async function unusualNames(lab: Lab): Promise<void> {
  const topics = topicsOf(lab.t);
  for (const topic of NAMES) {
    await lab.push({ queue: topicQueue(topic), id: `early in ${topic}` });
    for (const group of NAMES) await topics.bind(topic, group, lab.call);
    equal(await topics.groups(topic, lab.call), [...NAMES].sort(), `groups of ${topic}`);
    await lab.push({ queue: topicQueue(topic), id: `in ${topic}` });
  }
  for (const topic of NAMES) {
    for (const group of NAMES) {
      const early = group === NAMES[0] ? [`early in ${topic}`] : [];
      await gets(lab, `${topic}@${group}`, [...early, `in ${topic}`]);
    }
  }
}

/** The first cases of the group; the others are in `groups.ts`. */
export const TOPICS: readonly Claim[] = [
  claim("each group of a topic gets every job, once, as it was", everyGroup, TOPICS_NEED),
  claim("two topics do not mix, nor do a topic and a queue of its name", apart, TOPICS_NEED),
  claim("the members of a group share its jobs, each of which one of them gets", members, TOPICS_NEED),
  claim(
    "what a topic without a group holds goes whole and in order to the first, and later ones begin with the next push",
    waits,
    TOPICS_NEED,
  ),
  claim("thousands of jobs that waited for a group come in their order", wholeBacklog, TOPICS_NEED),
  claim("a delay holds in each group, pushed before it was bound or after", delays, TOPICS_NEED),
  claim("an id is refused while its job is live in any group", liveAnywhere, TOPICS_NEED, "idLive"),
  claim(
    "an id is refused within its window whatever the groups did with its job",
    windows,
    TOPICS_NEED,
    "idWindow",
  ),
  claim(
    "a batch may mix topics and queues, and ids are refused in each alone",
    batches,
    TOPICS_NEED,
    "idLive",
  ),
  claim(
    "an atomic batch of topics and queues is stored whole or not at all",
    atomic,
    TOPICS_NEED,
    "idLive",
    "atomicPush",
  ),
  claim("a push to a topic wakes who waits in each group, and so does a bind", wakes, TOPICS_NEED),
  claim("what waits in a topic is counted, listed, found and removed as in any queue", ownQueue, TOPICS_NEED),
  claim("the job of a schedule's tick goes to each group of its topic", ticks, TOPICS_NEED, "schedules"),
  claim("unusual names of topics and groups are names like all others", unusualNames, TOPICS_NEED),
];
