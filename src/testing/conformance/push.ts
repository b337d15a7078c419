/**
 * Each job comes out as it went in, and nothing else is touched.
 *
 * @module
 */

import { between, equal, ok, only } from "./assert.ts";
import { bytes, counted, job, type Lab, QUEUE } from "./lab.ts";
import { type Claim, claim } from "./claim.ts";

const MIB = 1024 * 1024;
const UNUSUAL = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "with space",
  " leading and trailing ",
  "dots.in.a.row",
  "wild*card?",
  "greater.>",
  "colon:{brace}[bracket]",
  "slash/back\\slash",
  "quote'\"`",
  "per%cent%20",
  "UPPER",
  "upper",
  "émigré",
  "e\u0301migre\u0301",
  "日本語",
  "👩‍👩‍👧‍👦",
  "null",
  "0",
  "-1",
  "; DROP TABLE jobs --",
];

/** Pushes one payload and takes it out again. */
async function survives(lab: Lab, payload: Uint8Array): Promise<void> {
  equal(await lab.push({ payload }), ["stored"], "push");
  const delivery = await lab.one();
  equal(delivery.payload, payload, "payload of the delivery");
  ok(delivery.bare !== true, "an entry with a payload");
  equal(await lab.settle(delivery, { to: "done" }), "settled", "settle");
}

async function manyAtOnce(lab: Lab): Promise<void> {
  const total = Math.min(10_000, lab.t.limits.bulk);
  const jobs = Array.from({ length: total }, (_, n) => job({ payload: bytes(`${n}`) }));
  equal(await lab.t.push(jobs, lab.call), jobs.map(() => "stored"), "push");
  await lab.holds(counted({ waiting: total }), "info");
  const seen: string[] = [];
  while (seen.length < total) {
    const deliveries = await lab.come(1_000);
    ok(deliveries.length > 0, `${total} deliveries (found only ${seen.length})`);
    seen.push(...deliveries.map(({ id }) => id));
    const done = deliveries.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
    equal(await lab.t.settle(done, lab.call), done.map(() => "settled"), "settle");
  }
  equal(seen, jobs.map(({ id }) => id), "ids in order of delivery");
  await lab.holds(counted(), "info at the end");
}

async function unusualQueues(lab: Lab): Promise<void> {
  const queues = [...UNUSUAL, "q".repeat(Math.min(255, lab.t.limits.name))];
  await lab.push(...queues.map((queue) => ({ queue, payload: bytes(`for ${queue}`) })));
  for (const queue of queues) {
    await lab.holds(counted({ waiting: 1 }), `info of ${queue}`, queue);
  }
  for (const queue of queues) {
    const delivery = await lab.one({ queues: [queue] });
    equal(delivery.queue, queue, "queue of the delivery");
    equal(delivery.payload, bytes(`for ${queue}`), `payload from ${queue}`);
    equal(
      await lab.settle(delivery, { to: "failed", meta: "m", reason: "r" }),
      "settled",
      `settle in ${queue}`,
    );
    equal(only(await lab.entries("failed", queue), `dead in ${queue}`).queue, queue, "queue of the entry");
  }
  const known = await lab.t.queues(lab.call);
  equal([...known].sort(), [...queues].sort(), "queues");
}

async function mixedOrder(lab: Lab): Promise<void> {
  await lab.push({ queue: "a", id: "taken-a", idWindow: lab.long }, {
    queue: "c",
    id: "taken-c",
    idWindow: lab.long,
  });
  const results = await lab.push(
    { queue: "a" },
    { queue: "a", id: "taken-a", idWindow: lab.long },
    { queue: "b" },
    { queue: "c" },
    { queue: "c", id: "taken-c", idWindow: lab.long },
    { queue: "a" },
  );
  equal(results, ["stored", "duplicate", "stored", "stored", "duplicate", "stored"], "results");
}

async function tooLarge(lab: Lab): Promise<void> {
  const { payload: limit } = lab.t.limits;
  if (limit > 64 * MIB) return;
  const [before, refused, after] = await lab.push({ id: "before" }, { payload: new Uint8Array(limit + 1) }, {
    id: "after",
  });
  equal([before, after], ["stored", "stored"], "the neighbours");
  ok(refused instanceof Error, "an error for the job that is too large");
  await lab.holds(counted({ waiting: 2 }), "info");
}

async function atomic(lab: Lab): Promise<void> {
  const held = { id: "held", idWindow: lab.long };
  // Where batches have a limit of their own they are of one queue.
  const other = lab.t.limits.atomic === undefined ? "other" : "work";
  await lab.push({ queue: other, ...held });
  if (other === "work") await lab.settle(await lab.one(), { to: "done" });
  const batch = [
    job(),
    job({ queue: other, ...held }),
    job({ id: "mine", idWindow: lab.long }),
    job({ delay: 60_000 }),
  ];
  const results = await lab.t.push(batch, { ...lab.call, atomic: true });
  equal(results, ["withheld", "duplicate", "withheld", "withheld"], "results");
  await lab.holds(counted(), "info");
  const again = batch.filter(({ id }) => id !== "held");
  equal(
    await lab.t.push(again, { ...lab.call, atomic: true }),
    again.map(() => "stored"),
    "the batch without it",
  );
  await lab.holds(counted({ waiting: 2, delayed: 1 }), "info afterwards");
}

async function atomicTooLarge(lab: Lab): Promise<void> {
  const { payload: limit } = lab.t.limits;
  if (limit > 64 * MIB) return;
  const batch = [job(), job({ payload: new Uint8Array(limit + 1) }), job()];
  const [before, refused, after] = await lab.t.push(batch, { ...lab.call, atomic: true });
  equal([before, after], ["withheld", "withheld"], "the neighbours");
  ok(refused instanceof Error, "an error for the job that is too large");
  await lab.holds(counted(), "info");
}

/** The cases of the group. */
export const PUSH: readonly Claim[] = [
  claim("the transport declares what its subject says", async ({ t, subject }) => {
    equal(t.features, subject.features, "features");
    if (subject.lacks !== undefined) equal(t.lacks, subject.lacks, "reasons");
    equal(t.topics !== undefined, subject.topics === true, "that it has topics");
    equal(t.schedules !== undefined, subject.schedules === true, "that it has schedules");
    if (subject.diagnose) ok(t.diagnose !== undefined, "that it can be diagnosed");
    ok(t.name.length > 0, "a name");
    ok(t.limits.payload > 0 && t.limits.bulk >= 1 && t.limits.name >= 64, "limits that leave room for work");
    await Promise.resolve();
  }),
  claim("a new store is empty", async (lab) => {
    await lab.holds(counted(), "info");
    equal(await lab.t.queues(lab.call), [], "queues");
    equal(await lab.take(10), [], "reserve");
  }),
  claim("a pushed job is delivered as it was", async (lab) => {
    const wanted = job({ name: "mail.send", meta: `{"v":1,"unknown":{"kept":"\u0000\u2028 é 👩‍👧"}}` });
    const before = lab.now();
    equal(await lab.t.push([wanted], lab.call), ["stored"], "push");
    const after = lab.now();
    const { token, lease, due, ...rest } = await lab.one();
    const { queue, id, name, payload, meta } = wanted;
    equal(rest, { queue, id, name, payload, meta, lost: 0, reset: false }, "delivery");
    ok(token.length > 0, "a token");
    ok(lease > 0, "a lease");
    between(due, before - lab.slack, after + lab.slack, "due");
  }),
  claim("an empty batch stores nothing", async (lab) => {
    equal(await lab.t.push([], lab.call), [], "push");
    equal(await lab.t.push([], { ...lab.call, atomic: true }), [], "atomic push");
    equal(await lab.t.settle([], lab.call), [], "settle");
    equal(await lab.t.extend([], lab.call), [], "extend");
    equal(await lab.t.get(QUEUE, [], lab.call), [], "get");
    await lab.holds(counted(), "info");
  }),
  claim("ten thousand jobs of one batch are all stored, in order", manyAtOnce),
  claim("an empty payload survives", async (lab) => {
    // A driver may take no bytes without a buffer for none at all.
    for (
      const payload of [
        new Uint8Array(),
        bytes(""),
        new Uint8Array(new ArrayBuffer()),
        bytes("x").subarray(1),
      ]
    ) {
      await survives(lab, payload);
    }
  }),
  claim("a payload of unicode survives", (lab) => survives(lab, bytes("ñ 日本語 👩‍👩‍👧‍👦 \u2028 \uFEFF \uFFFD"))),
  claim("a payload of NULs survives", (lab) => survives(lab, new Uint8Array(3))),
  claim(
    "a payload of all 256 bytes survives",
    (lab) => survives(lab, Uint8Array.from({ length: 256 }, (_, n) => n)),
  ),
  claim(
    "a payload with line ends, quotes and protocol words survives",
    (lab) => survives(lab, bytes(`"\r\n$5\r\n+OK\r\nMSG a 1 2\r\n'; --\\x00`)),
  ),
  claim("a payload of a mebibyte survives", async (lab) => {
    const size = Math.min(MIB, lab.t.limits.payload - 64 * 1024);
    await survives(lab, Uint8Array.from({ length: size }, (_, n) => (n * 31) & 255));
  }),
  claim("a payload that is a window into a larger buffer is stored alone", async (lab) => {
    await survives(lab, bytes("left|wanted|right").subarray(5, 11));
  }),
  claim("unusual queue names are names like all others", unusualQueues),
  claim("unusual ids and job names survive", async (lab) => {
    for (const text of UNUSUAL) await lab.push({ id: text, name: text, idWindow: lab.long });
    for (const text of UNUSUAL) {
      const { id, name } = await lab.one();
      equal({ id, name }, { id: text, name: text }, "delivery");
    }
    const found = await lab.t.get(QUEUE, UNUSUAL, lab.call);
    equal(found.map((entry) => entry?.id), UNUSUAL, "entries by id");
  }),
  claim("a job is in its own queue only", async (lab) => {
    await lab.push({ queue: "a" });
    equal(await lab.take(1, { queues: ["b", "A", "a ", "a.b", "*"] }), [], "reserve from other queues");
    await lab.holds(counted(), "info of another queue", "b");
    equal((await lab.one({ queues: ["a"] })).queue, "a", "queue");
  }),
  claim("results of a mixed batch come in the order of its items", mixedOrder, "idLive"),
  claim("a refused job does not touch its neighbours", async (lab) => {
    await lab.push({ id: "x", idWindow: lab.long });
    const results = await lab.push({ id: "1" }, { id: "x", idWindow: lab.long }, { id: "2" });
    equal(results, ["stored", "duplicate", "stored"], "results");
    equal((await lab.take(9)).map(({ id }) => id), ["x", "1", "2"], "what is there");
  }, "idLive"),
  claim("a job over the limit is refused alone", tooLarge),
  claim("an atomic batch is stored whole or not at all", atomic, "atomicPush", "idLive"),
  claim("an atomic batch with a job over the limit is not stored at all", atomicTooLarge, "atomicPush"),
  claim("pushes and reserves are carried out in the order in which they were made", async (lab) => {
    const early = lab.take(3);
    const pushed = [lab.push({ id: "1" }), lab.push({ id: "2" }, { id: "3" }), lab.push({ id: "4" })];
    const taken = lab.take(3);
    await Promise.all(pushed);
    equal(await early, [], "deliveries before the push");
    equal((await taken).map(({ id }) => id), ["1", "2", "3"], "deliveries after it");
  }),
  claim("a settle made before a reserve is carried out before it", async (lab) => {
    await lab.push({ id: "1" });
    const { queue, token } = await lab.one();
    const settled = lab.t.settle([{ queue, token, to: "release" }], lab.call);
    equal((await lab.take(1)).map(({ id }) => id), ["1"], "deliveries");
    equal(await settled, ["settled"], "settle");
  }),
  claim("what one looks at shows the calls that were made before, though not awaited", async (lab) => {
    const pushed = lab.push({ id: "1" }, { id: "2" });
    const looks = [lab.counts(), lab.entry("1"), lab.entries("waiting"), lab.t.queues(lab.call)] as const;
    const taken = lab.take(1);
    const later = lab.counts();
    await pushed;
    equal(await looks[0], counted({ waiting: 2 }), "info");
    equal((await looks[1])?.channel, "waiting", "entry");
    equal((await looks[2]).length, 2, "listed");
    equal(await looks[3], [QUEUE], "queues");
    equal((await taken).length, 1, "deliveries");
    equal(await later, counted({ waiting: 1, reserved: 1 }), "info after the reserve");
  }, "exactInfo"),
  claim("a second client sees what the first stored", async (lab) => {
    const second = await lab.open();
    await lab.push({ id: "1" });
    const delivery = await lab.one({ from: second });
    equal(delivery.id, "1", "id");
    equal(await lab.settle(delivery, { to: "done" }, second), "settled", "settle");
    await lab.holds(counted(), "info");
  }, "shared"),
  claim("two stores share nothing", async (lab) => {
    const other = await lab.subject.create(`${lab.store}-b`);
    try {
      await lab.push({ id: "x", idWindow: lab.long });
      equal(
        await other.push([job({ id: "x", idWindow: lab.long })], lab.call),
        ["stored"],
        "the id in the other",
      );
      await lab.holds(counted({ waiting: 1 }), "info");
      equal(
        (await other.reserve([QUEUE], { limit: 9, slots: 9, lease: lab.long, wait: 0, ...lab.call })).length,
        1,
        "jobs",
      );
    } finally {
      await other[Symbol.asyncDispose]();
      await lab.subject.destroy?.(`${lab.store}-b`);
    }
  }),
];
