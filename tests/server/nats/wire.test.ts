/** What stands where in a stream, for those who look with a client of their own: docs/wire.md says the same. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { deadLetter, fixed } from "../../../mod.ts";
import type { Delivery, Settlement } from "../../../src/exchange.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { bytes, free, heard, textOf } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { type Ground, groundOn, worksUntil } from "./ground.ts";
import { type Letter, lettersIn, overhear } from "./support.ts";

const CALL = { deadline: 10_000 };
const PATIENCE = 30_000;
const ACK_WAIT = 5_000;
/** A lease that a test lets run out. */
const BRIEF = 1_500;
const LEASE = 60_000;
/** How far two clocks of one machine may be apart here, and how long a call may take on a busy one. */
const SLACK = 5_000;
const TAKE = { limit: 10, slots: 10, lease: LEASE, wait: 0, ...CALL };
const jobs = {
  work: { schema: free<unknown>(), queue: "work" },
  quick: { schema: free<unknown>(), queue: "work", timeout: 50 },
} as const;

const SCHEDULE = { queue: "work", key: "each night", tick: 1_000, text: "{}", payload: bytes("the payload") };
const QUEUES = ["work", "orders@", "orders@mailer", "ä/ö", "n".repeat(201)];

/** The name of a queue's stream behind the prefix: what changes in it is told by a hash. */
function safe(queue: string): string {
  const kept = queue.replaceAll(/[^A-Za-z0-9_-]/gu, "_");
  if (kept === queue && kept.length <= 200) return kept;
  return `${kept.slice(0, 200)}_${createHash("sha256").update(queue).digest("hex").slice(0, 8)}`;
}

/** The letters of a queue's stream, their subjects from behind its name on. */
async function inQueue({ server, prefix }: Ground, queue = "work"): Promise<readonly Letter[]> {
  const base = `${prefix}.${safe(queue)}.`;
  const letters = await lettersIn(server, `${prefix}_${safe(queue)}`);
  for (const { subject } of letters) expect(subject.startsWith(base), subject).toBe(true);
  return letters.map((letter) => ({ ...letter, subject: letter.subject.slice(base.length) }));
}

/** The one letter of a queue on a line. */
async function onLine(ground: Ground, line: string, queue = "work"): Promise<Letter> {
  const [letter, ...others] = (await inQueue(ground, queue))
    .filter(({ subject }) => subject.startsWith(`${line}.`));
  if (letter === undefined || others.length > 0) throw new Error(`Wanted one letter on line '${line}'`);
  return letter;
}

/** Reserves the one job that must be there. */
async function one(transport: Transport, queue = "work"): Promise<Delivery> {
  const [held, ...others] = await transport.reserve([queue], TAKE);
  if (held === undefined || others.length > 0) throw new Error("Wanted one delivery");
  return held;
}

async function settle(
  transport: Transport,
  { queue, token }: Delivery,
  ending: Partial<Settlement>,
): Promise<void> {
  expect(await transport.settle([{ queue, token, ...ending } as Settlement], CALL)).toEqual(["settled"]);
}

/** The milliseconds that the last token of a dead job's subject begins with. */
function deathOf({ subject }: Letter): number {
  return Number.parseInt((subject.split(".").at(-1) ?? "").slice(0, 9), 36);
}

describeOn(["nats"], `In the streams of NATS`, () => {
  const server = owned(() => startNats());

  function row(
    title: string,
    check: (ground: Ground, open: (ackWait?: number) => Transport) => Promise<void>,
  ): void {
    test.concurrent(title, async () => {
      await using ground = groundOn(await server());
      const opened: Transport[] = [];
      const open = (ackWait = ACK_WAIT): Transport => {
        const { server: { url }, prefix } = ground;
        const transport = nats({ servers: url, prefix, ackWait });
        opened.push(transport);
        return transport;
      };
      try {
        await check(ground, open);
      } finally {
        for (const transport of opened) await transport[Symbol.asyncDispose]();
      }
    }, PATIENCE);
  }

  row("a dispatched job is one message, its payload the body, all else one header line", async (ground) => {
    const relay = ground.relay(jobs);
    const { id } = await relay.dispatch("work", { amount: 9.99, text: "ü" });
    const [stored, ...others] = await inQueue(ground);
    expect(others).toEqual([]);
    expect(stored).toEqual({
      subject: `w.${id}`,
      seq: 1,
      relevo: [id, "work", expect.any(String)],
      lines: {},
      body: bytes(`{"amount":9.99,"text":"ü"}`),
    });
    const [, , meta] = stored?.relevo as readonly string[];
    expect(JSON.parse(meta ?? "")).toEqual({ v: 1, createdAt: expect.any(Number) });
  });

  row("a job with all that a dispatch may say has it in its metadata and its marks", async (ground) => {
    const relay = ground.relay(jobs);
    const begun = Date.now();
    await relay.dispatch("work", "x", {
      id: "Order 7/ä",
      idWindow: 3_600_000,
      delay: 60_000,
      maxAttempts: 4,
      timeout: 2_000,
      backoff: fixed(500),
      headers: { tenant: "a\r\nb" },
      requestId: "r1",
    });
    const token = "Order=207=2f=c3=a4";
    await becomes("the lock says that its job is stored", async () => {
      const { relevo } = await onLine(ground, "i");
      return (relevo as readonly unknown[])[1] === true;
    });
    const [stored, lock, ...others] = await inQueue(ground);
    expect(others).toEqual([]);
    const { relevo, ...letter } = stored ?? {};
    // The first message of the stream was the lock, before the job was stored.
    expect(letter).toEqual({
      subject: `d.${token}`,
      seq: 2,
      lines: { "Nats-Msg-Id": "i1" },
      body: bytes(`"x"`),
    });
    const [id, name, meta, marks] = relevo as readonly [string, string, string, Record<string, number>];
    expect([id, name]).toEqual(["Order 7/ä", "work"]);
    const until = marks["until"] ?? 0;
    expect(marks).toEqual({ until, delay: 60_000 });
    expect(Math.abs(until - begun - 3_600_000)).toBeLessThan(SLACK);
    expect(JSON.parse(meta)).toEqual({
      v: 1,
      createdAt: expect.any(Number),
      maxAttempts: 4,
      timeout: 2_000,
      backoff: fixed(500),
      requestId: "r1",
      headers: { tenant: "a\r\nb" },
    });
    expect(lock).toMatchObject({ subject: `i.${token}`, relevo: [until, true], body: bytes("") });
    expect(lock?.lines).toMatchObject({
      "Nats-Expected-Last-Subject-Sequence": "1",
      "Nats-Rollup": "sub",
    });
  });

  row("the body is exactly the payload, whatever bytes it has", async (ground, open) => {
    const all = Uint8Array.from({ length: 256 }, (_, n) => n);
    const payloads = [all, bytes("\r\n\r\n"), bytes("")];
    const pushed = payloads.map((payload, n) => job({ id: `${n}`, payload, meta: "m" }));
    await open().push(pushed, CALL);
    expect(await inQueue(ground)).toEqual(payloads.map((body, n) => ({
      subject: `w.${n}`,
      seq: n + 1,
      relevo: [`${n}`, "test.job", "m"],
      lines: {},
      body,
    })));
  });

  row("a job that is due at an instant says so, one whose instant is over says nothing", async (
    ground,
    open,
  ) => {
    const at = Date.now() + 60_000;
    const transport = open();
    await transport.push([job({ id: "1", meta: "m", at }), job({ id: "2", meta: "m", at: 1_000 })], CALL);
    expect(await inQueue(ground)).toMatchObject([
      { subject: "d.1", relevo: ["1", "test.job", "m", { due: at }] },
      { subject: "w.2", relevo: ["2", "test.job", "m"] },
    ]);
  });

  row("a released job stands in front, with when it was due, under its message's number", async (
    ground,
    open,
  ) => {
    const transport = open();
    await transport.push([job({ id: "1", meta: "m" })], CALL);
    const held = await one(transport);
    await settle(transport, held, { to: "release" });
    expect(await inQueue(ground)).toEqual([{
      subject: "b.1",
      seq: 2,
      relevo: ["1", "test.job", "m", { due: held.due }],
      lines: { "Nats-Msg-Id": "m1" },
      body: held.payload,
    }]);
  });

  row("a job that runs again is its next message, with the record and the delay of that", async (
    ground,
    open,
  ) => {
    const transport = open();
    await transport.push([job({ id: "1" })], CALL);
    await settle(transport, await one(transport), { to: "again", meta: "next", payload: bytes("new") });
    const [next, ...others] = await inQueue(ground);
    expect(others).toEqual([]);
    expect(next).toEqual({
      subject: "w.1",
      seq: 2,
      relevo: ["1", "test.job", "next"],
      lines: { "Nats-Msg-Id": "m1" },
      body: bytes("new"),
    });
    await settle(transport, await one(transport), { to: "again", meta: "last", delay: 60_000 });
    expect(await inQueue(ground)).toEqual([{
      subject: "d.1",
      seq: 3,
      relevo: ["1", "test.job", "last", { delay: 60_000 }],
      lines: { "Nats-Msg-Id": "m2" },
      body: bytes("new"),
    }]);
  });

  row(
    "a job whose lease is lost stands in front with its loss, and with a note while somebody has it",
    async (
      ground,
      open,
    ) => {
      const lost = open(BRIEF);
      await lost.push([job({ id: "1", meta: "m" })], CALL);
      const { due, payload } = (await lost.reserve(["work"], { ...TAKE, lease: BRIEF }))[0] ?? {};
      const next = open(BRIEF);
      const [held] = await next.reserve(["work"], { ...TAKE, wait: 5_000 });
      if (held === undefined) throw new Error("Wanted a delivery");
      expect(held.lost).toBe(1);
      const back = await onLine(ground, "b");
      expect(back).toEqual({
        subject: "b.1",
        seq: back.seq,
        relevo: ["1", "test.job", "m", { due, lost: 1 }],
        lines: { "Nats-Msg-Id": "m1" },
        body: payload,
      });
      expect(await onLine(ground, "h")).toMatchObject({ subject: `h.${back.seq}`, body: bytes("") });
      await settle(next, held, { to: "again", meta: "n" });
      await becomes("the note is gone", async () => (await inQueue(ground)).length === 1);
      expect(await onLine(ground, "w")).toMatchObject({
        relevo: ["1", "test.job", "n", { frail: true }],
        lines: { "Nats-Msg-Id": `m${back.seq}` },
      });
    },
  );

  row("dead jobs are one message each, by channel, id and time of death", async (ground) => {
    const relay = ground.relay(jobs);
    relay.handle("work", (payload) => {
      if (payload === "spam") return deadLetter({ reason: "spam" });
      throw new RangeError("out of ink");
    });
    relay.handle(
      "quick",
      (_, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    );
    const dead = heard(relay.events, "failed");
    const begun = Date.now();
    await relay.dispatch("work", "ink", { id: "a.b", maxAttempts: 1 });
    await relay.dispatch("work", "spam");
    await relay.dispatch("quick", "slow", { maxAttempts: 1 });
    await worksUntil(relay, "all are dead", () => dead.length === 3);
    await becomes("no others are there", async () => (await inQueue(ground)).length === 4);
    const letters = (await inQueue(ground)).filter(({ subject }) => !subject.startsWith("i."));
    const shown = letters.map((letter) => {
      const { relevo, subject, lines } = letter;
      const [id, name, meta, marks] = relevo as readonly [string, string, string, Record<string, unknown>];
      const { dead, lastError, attempts } = JSON.parse(meta);
      expect(subject.split(".")).toHaveLength(3);
      expect(subject.split(".")[1]).toBe(id === "a.b" ? "a=2eb" : id);
      expect(Object.keys(lines)).toEqual(["Nats-Msg-Id"]);
      expect(lines["Nats-Msg-Id"]).toMatch(/^m\d+$/);
      expect(marks["died"]).toBe(deathOf(letter));
      expect(Math.abs(deathOf(letter) - begun)).toBeLessThan(PATIENCE);
      return [
        subject[0],
        name,
        textOf(letter.body),
        marks["reason"],
        dead.reason,
        dead.channel,
        attempts,
        lastError.name,
      ];
    });
    expect(shown.toSorted((a, b) => a.join() < b.join() ? -1 : 1)).toEqual([
      ["f", "work", `"ink"`, "exhausted", "exhausted", "failed", 1, "RangeError"],
      ["f", "work", `"spam"`, "spam", "spam", "failed", 1, "Error"],
      ["t", "quick", `"slow"`, "timeout", "timeout", "timeout", 1, "JobTimeout"],
    ]);
  });

  row("deaths are in their subjects' order, two of one millisecond, too", async (ground, open) => {
    const transport = open();
    const ids = Array.from({ length: 50 }, (_, n) => `${n}`);
    await transport.push(ids.map((id) => job({ id })), CALL);
    const held = await transport.reserve(["work"], { ...TAKE, limit: 50, slots: 50 });
    const endings = held.map(({ queue, token }) => ({
      queue,
      token,
      to: "failed" as const,
      meta: "",
      reason: "r",
    }));
    await transport.settle(endings, CALL);
    const deaths = (await inQueue(ground)).map(({ subject }) => subject.split("."))
      .toSorted(([, , a = ""], [, , b = ""]) => a < b ? -1 : 1);
    expect(deaths.map(([, id]) => id)).toEqual(held.map(({ id }) => id));
    expect(new Set(deaths.map(([, , death]) => death)).size).toBe(50);
  });

  row("who removes a reserved job writes what follows it, and leaves nothing", async (ground, open) => {
    const transport = open();
    await transport.push([job({ id: "1" })], CALL);
    await one(transport);
    await using published = await overhear(ground.server, ground.prefix);
    expect(await open().remove("work", "reserved", "all", CALL)).toBe(1);
    await becomes("it is heard", () => published.letters.length > 0);
    expect(published.letters).toMatchObject([{
      subject: `${ground.prefix}.work.x.1`,
      lines: { "Nats-Msg-Id": "m1" },
      body: bytes(""),
    }]);
    await becomes("all is gone", async () => (await inQueue(ground)).length === 0);
  });

  row("a topic's groups are one message, and each has a copy of what was published", async (
    ground,
    open,
  ) => {
    const transport = open();
    for (const group of ["mailer", "stock"]) await transport.topics?.bind("orders", group, CALL);
    expect(await onLine(ground, "g", "orders@")).toMatchObject({
      subject: "g.groups",
      relevo: [["mailer", 0], ["stock", null]],
      body: bytes(""),
    });
    await using published = await overhear(ground.server, ground.prefix);
    const order = job({ queue: "orders@", id: "7", name: "order.paid", meta: "m", idWindow: 60_000 });
    expect(await transport.push([order], CALL)).toEqual(["stored"]);
    const own = `${ground.prefix}.${safe("orders@")}.`;
    const onItsWay = published.letters.find(({ subject }) => subject === `${own}p.7`);
    const [, , , marks] = onItsWay?.relevo as readonly unknown[];
    expect(marks).toEqual({ until: expect.any(Number) });
    // The first two messages say which groups there are, the last of them alone is left; then comes the lock.
    expect(onItsWay?.lines).toEqual({ "Nats-Msg-Id": "i3" });
    for (const group of ["mailer", "stock"]) {
      expect(await inQueue(ground, `orders@${group}`)).toEqual([{
        subject: "w.7",
        seq: 1,
        relevo: ["7", "order.paid", "m"],
        lines: { "Nats-Msg-Id": "t4.7" },
        body: order.payload,
      }]);
    }
    await becomes("the lock and the groups are left", async () => {
      const left = (await inQueue(ground, "orders@")).map(({ subject }) => subject);
      return left.toSorted().join() === "g.groups,i.7";
    });
  });

  row("a schedule is one message, and its tick a job under a message id of key and tick", async (
    ground,
    open,
  ) => {
    const transport = open();
    const { schedules } = transport;
    expect(await schedules?.put(SCHEDULE, CALL)).toBe("created");
    const sheet = { tick: SCHEDULE.tick, paused: false, text: SCHEDULE.text };
    expect(await inQueue(ground)).toMatchObject([
      { subject: "s.each=20night", relevo: sheet, body: SCHEDULE.payload },
    ]);
    await using published = await overhear(ground.server, ground.prefix);
    const tick = job({ id: "1", meta: "m" });
    expect(await schedules?.advance("work", SCHEDULE.key, SCHEDULE.tick, 2_000, tick, CALL))
      .toBe("pushed");
    await becomes("all is heard", () => published.letters.length === 3);
    const [claim, pushed, moved] = published.letters;
    expect(claim).toMatchObject({
      relevo: { ...sheet, claimed: expect.any(Number) },
      body: SCHEDULE.payload,
    });
    const { claimed } = claim?.relevo as { readonly claimed: number };
    expect(Math.abs(claimed - Date.now())).toBeLessThan(SLACK);
    expect(pushed).toMatchObject({
      relevo: ["1", "test.job", "m"],
      lines: { "Nats-Msg-Id": `seach=20night.${SCHEDULE.tick}` },
    });
    expect(moved?.lines).toMatchObject({ "Nats-Expected-Last-Subject-Sequence": "2" });
    expect(await inQueue(ground)).toMatchObject([
      { subject: "w.1", body: tick.payload },
      { subject: "s.each=20night", relevo: { ...sheet, tick: 2_000 }, body: SCHEDULE.payload },
    ]);
    expect(await schedules?.pause("work", SCHEDULE.key, true, "", CALL)).toBe(true);
    expect(await onLine(ground, "s")).toMatchObject({ relevo: { ...sheet, tick: 2_000, paused: true } });
    expect(await schedules?.remove("work", SCHEDULE.key, CALL)).toBe(true);
    expect((await inQueue(ground)).map(({ subject }) => subject)).toEqual(["w.1"]);
  });

  row("a queue's stream and consumers are set up as the documentation says", async (ground) => {
    const { server: { url }, prefix } = ground;
    const seconds = 1_000_000_000;
    await using brief = nats({ servers: url, prefix, group: "mine", ackWait: 1_000 });
    await using long = nats({ servers: url, prefix, group: "mine", ackWait: 60_000 });
    for (const [n, queue] of QUEUES.entries()) {
      const [transport, window] = n === 0 ? [long, 600] : [brief, 120];
      await transport.push([job({ queue, id: "1" })], CALL);
      const stream = `${prefix}_${safe(queue)}`;
      const base = `${prefix}.${safe(queue)}.`;
      const { config } = await ground.api(`STREAM.INFO.${stream}`);
      expect(config).toMatchObject({
        name: stream,
        description: `Relevo queue ${JSON.stringify(queue)}`,
        subjects: [`${base}>`],
        retention: "workqueue",
        discard: "new",
        storage: "file",
        num_replicas: 1,
        allow_direct: true,
        allow_rollup_hdrs: true,
        duplicate_window: window * seconds,
        max_age: 0,
        max_msgs: -1,
        max_bytes: -1,
        max_msgs_per_subject: -1,
      });
      const { consumers } = await ground.api(`CONSUMER.LIST.${stream}`) as unknown as {
        readonly consumers: readonly { readonly config: { readonly durable_name?: string } }[];
      };
      const found = consumers.map(({ config }) => config)
        // A server of 2.9 tells its time by a consumer, which goes by itself.
        .filter(({ durable_name }) => durable_name !== undefined)
        .toSorted((a, b) => (a.durable_name ?? "") < (b.durable_name ?? "") ? -1 : 1);
      const lines = [["mine", "w"], ["mine_back", "b"], ["mine_delayed", "d"]];
      expect(found).toMatchObject(lines.map(([durable, line]) => ({
        durable_name: durable,
        filter_subject: `${base}${line}.>`,
        ack_policy: "explicit",
        deliver_policy: "all",
        ack_wait: (n === 0 ? 60 : 1) * seconds,
        max_deliver: -1,
        max_ack_pending: -1,
      })));
    }
  });

  row("what others publish to 'w' with any token behind it is a job, and nobody gets what has none", async (
    ground,
    open,
  ) => {
    const transport = open();
    await transport.push([job({ id: "first" })], CALL);
    await using raw = await ground.server.raw();
    const put = async (line: string): Promise<{ readonly seq: number }> =>
      JSON.parse(await raw.request(`${ground.prefix}.work.${line}`, line));
    expect(await put("w")).toMatchObject({ stream: `${ground.prefix}_work`, seq: 2 });
    await put("w.x");
    await put("w.x");
    await put("w.x.y");
    const found = await transport.reserve(["work"], TAKE);
    expect(found.map(({ id, name, meta, payload }) => [id, name, meta, textOf(payload)])).toEqual([
      ["first", "test.job", job({ id: "first" }).meta, "first"],
      ["3", "work", "", "w.x"],
      ["4", "work", "", "w.x"],
      ["5", "work", "", "w.x.y"],
    ]);
    const done = found.map(({ queue, token }) => ({ queue, token, to: "done" as const }));
    await transport.settle(done, CALL);
    expect(await open().reserve(["work"], { ...TAKE, wait: 500 })).toEqual([]);
    expect(await open().info("work", CALL)).toEqual({
      waiting: 0,
      delayed: 0,
      reserved: 0,
      failed: 0,
      timeout: 0,
    });
    expect(await inQueue(ground)).toMatchObject([{ subject: "w", seq: 2, body: bytes("w") }]);
  });
});
