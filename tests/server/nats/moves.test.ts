/** What stands where when a move is cut between two of its writes, and what becomes of it: every move, every gap. */
import { expect, test } from "vitest";
import type { Delivery, Settlement } from "../../../src/exchange.ts";
import { counted, type Counts, job } from "../../../src/testing/conformance/lab.ts";
import { hush } from "../../../src/promises.ts";
import type { Transport } from "../../../src/transport.ts";
import { nats } from "../../../src/transports/nats/mod.ts";
import { becomes } from "../support/becomes.ts";
import { type NatsServer, startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { operate } from "./operator.ts";
import { type Cutting, cutting, lettersIn } from "./support.ts";

const CALL = { deadline: 10_000 };
const ACK_WAIT = 800;
const LEASE = 60_000;
const QUEUE = "work";
const TOPIC = "orders@";
const [A, B, C, GONE] = ["orders@a", "orders@b", "orders@c", "orders@gone"];
const GROUPS = [A, B];
const WINDOW = 60_000;
const TICK = 1_000;
const NEXT_TICK = 2_000;
const DELAY = 300;
/** Milliseconds after which a job is held already that is not due before a slow machine has looked at it, and before it ends. */
const SOON = 2_000;
const FAR = 20_000;
/** Milliseconds for which whoever published a job is left to send it on, and a little more. */
const YOUNG = 2_100;
/** Milliseconds in which what is left of a move is found: a delayed job's holder is given five seconds. */
const PATIENCE = 12_000;
/** Milliseconds between two looks, and how many of them are made. */
const RARELY = 250;
const LOOKS = 20;
/** The letters under which jobs lie. */
const JOBS = /^[wbdftp]$/;

/** A job where it was found. */
interface Found {
  /** Default `work`. */
  readonly queue?: string;
  readonly line: string;
  /** Default 1. */
  readonly id?: string;
  /** Leases that it lost. Default 0. */
  readonly lost?: number;
  /** Default `old`, as it was pushed. */
  readonly meta?: string;
}

/** Where a move takes place. */
interface Stage extends AsyncDisposable {
  readonly server: NatsServer;
  readonly prefix: string;
  /** The process that dies. */
  readonly dying: Cutting;
  /** The one that goes on. */
  readonly other: Transport;
  /** What that one has taken. */
  readonly taken: Delivery[];
  /** One more. */
  open(): Transport;
}

/** One move. */
interface Move {
  /** All that is written, in its order: a line or another letter of a subject, or the word to the server. */
  readonly writes: readonly string[];
  /** Default `work`. */
  readonly queues?: readonly string[];
  /** Sets up what is moved; what moves it. */
  begin(stage: Stage): Promise<() => Promise<unknown>>;
  /** What another does behind that, before it takes what comes. */
  behind?(stage: Stage, gap: number): Promise<unknown>;
  /** What is there then, where the process died behind so many writes. */
  found(gap: number): readonly Found[];
  /** What another does when all has run. */
  last?(stage: Stage, gap: number): Promise<unknown>;
}

type Ending = (held: Delivery) => Settlement;

const ENDINGS: Readonly<Record<string, readonly [end: Ending, line: string, found: Found]>> = {
  again: [
    ({ queue, token }) => ({ queue, token, to: "again", meta: "next" }),
    "w",
    { line: "w", meta: "next" },
  ],
  "again with a delay": [
    ({ queue, token }) => ({ queue, token, to: "again", meta: "next", delay: DELAY }),
    "d",
    { line: "w", meta: "next" },
  ],
  failed: [
    ({ queue, token }) => ({ queue, token, to: "failed", meta: "next", reason: "r" }),
    "f",
    { line: "f", meta: "next" },
  ],
  timeout: [
    ({ queue, token }) => ({ queue, token, to: "timeout", meta: "next", reason: "r" }),
    "t",
    { line: "t", meta: "next" },
  ],
  release: [({ queue, token }) => ({ queue, token, to: "release" }), "b", { line: "b" }],
};
const DONE: Ending = ({ queue, token }) => ({ queue, token, to: "done" });

const one = job({ id: "1", queue: QUEUE, meta: "old" });
const two = { ...one, id: "2" };
const chosen = { ...one, idWindow: WINDOW };
const published = { ...one, queue: TOPIC };

async function take(transport: Transport, queues: readonly string[] = [QUEUE]): Promise<readonly Delivery[]> {
  return await transport.reserve(queues, { limit: 10, slots: 10, lease: LEASE, wait: 0, ...CALL });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Takes the one job; who looks as rarely as this stands at no line, where what is moved would come to it. */
async function takeOne(transport: Transport): Promise<Delivery> {
  for (let looks = 0; looks < LOOKS; looks++) {
    const [held] = await take(transport);
    if (held !== undefined) return held;
    await pause(RARELY);
  }
  throw new Error("Wanted a delivery");
}

/** A worker takes the one job and dies. */
async function loseTo(worker: Transport): Promise<void> {
  await takeOne(worker);
  await worker[Symbol.asyncDispose]();
}

/** Does the same again and again. */
async function onAndOn(call: () => Promise<unknown>): Promise<never> {
  for (;;) {
    await call();
    await pause(RARELY);
  }
}

/** What a consumer says of itself. */
async function consumer(
  { server, prefix }: Stage,
  name: string,
): Promise<{ readonly num_waiting: number; readonly num_ack_pending: number }> {
  await using raw = await server.raw();
  return JSON.parse(await raw.request(`$JS.API.CONSUMER.INFO.${prefix}_${QUEUE}.${name}`));
}

/** Settles so that no answer comes, and lets the lease run out. */
async function settleUnheard({ transport, mute }: Cutting, settlement: Settlement): Promise<void> {
  const [answer] = await mute(() => transport.settle([settlement], { deadline: 1.5 * ACK_WAIT }));
  expect(answer).toBeInstanceOf(Error);
}

/** Binds the groups, so that all their streams are there, and one that is unbound again. */
async function bound({ dying: { transport: { topics } } }: Stage): Promise<void> {
  for (const group of ["gone", "a", "b"]) await topics?.bind("orders", group, CALL);
  await topics?.unbind("orders", "gone", CALL);
}

/** Another reserves where nothing comes, and sends on beside that what was left on its way to the groups. */
async function sendOn({ server, prefix, other }: Stage): Promise<void> {
  await pause(YOUNG);
  await take(other, [GONE]);
  await becomes(
    "nothing is on its way",
    async () => (await storedIn(server, prefix)).every(({ line }) => line !== "p"),
  );
}

/** Publishes to a group that is unbound before the job is sent on. */
async function left({ server, prefix, dying: { transport } }: Stage): Promise<void> {
  const publisher = await cutting(server.url, prefix, ACK_WAIT);
  await transport.topics?.bind("orders", "a", CALL);
  await publisher.transport.info(A, CALL);
  await publisher.cut(() => publisher.transport.push([published], CALL), diesBehind(1, []));
  await transport.topics?.unbind("orders", "a", CALL);
  await pause(YOUNG);
}

/** A schedule with a tick that is due. */
async function scheduled({ dying: { transport } }: Stage, queue: string): Promise<void> {
  const schedule = { queue, key: "report", tick: TICK, text: "t", payload: new Uint8Array() };
  expect(await transport.schedules?.put(schedule, CALL)).toBe("created");
  await transport.info(queue, CALL);
}

function advance(transport: Transport, pushed: typeof one, next?: number): Promise<unknown> {
  return Promise.resolve(transport.schedules?.advance(pushed.queue, "report", TICK, next, pushed, CALL));
}

/** Removes what is left of a removal: as long as its first write is there it is known for one. */
async function removeRest(transport: Transport, channel: "reserved" | "delayed", gap: number): Promise<void> {
  expect(await transport.remove(QUEUE, channel, "all", CALL)).toBe(gap === 1 ? 1 : 0);
  expect(await transport.info(QUEUE, CALL)).toMatchObject({ reserved: 0, delayed: 0 });
}

/** The tick goes on once, and rests behind it at the next one. */
async function advanceOnce({ other }: Stage, pushed: typeof one, next?: number): Promise<void> {
  expect(await advance(other, pushed, next)).toBe("advanced");
  expect(await advance(other, pushed, next)).toBe("stale");
  const page = await other.schedules?.list(pushed.queue, { limit: 10 }, CALL);
  expect(page?.schedules.map(({ tick }) => tick)).toEqual(next === undefined ? [] : [next]);
}

/** An operator wishes that a consumer hands a message over once. */
async function limit({ server, prefix }: Stage, consumer: string): Promise<void> {
  const operator = await operate(server, prefix);
  await operator.limit({ ack_wait: ACK_WAIT * 1e6, max_deliver: 1 }, consumer);
  await operator[Symbol.asyncDispose]();
}

/** Counts until something is sent on: the server gives it up when somebody asks for more. */
async function countGivenUp({ server, prefix, dying }: Stage, consumer: string): Promise<never> {
  await using raw = await server.raw();
  return await onAndOn(async () => {
    const pull = '{"batch":1,"no_wait":true}';
    // A server of 2.9 does not answer when all it had was given up.
    hush(raw.request(`$JS.API.CONSUMER.MSG.NEXT.${prefix}_${QUEUE}.${consumer}`, pull));
    await dying.transport.info(QUEUE, CALL);
  });
}

const settled = Object.entries(ENDINGS).map(([form, [end, line, found]]): [string, Move] => [
  `settled '${form}'`,
  {
    writes: [line, "+ACK"],
    async begin({ dying: { transport } }) {
      await transport.push([one], CALL);
      const held = await takeOne(transport);
      return () => transport.settle([end(held)], CALL);
    },
    found: () => [found],
  },
]);

const late = Object.entries(ENDINGS).map(([form, [end, line, found]]): [string, Move] => [
  `settled '${form}' when its lease was over`,
  {
    writes: [line, "+ACK"],
    async begin({ dying }) {
      await dying.transport.push([one], CALL);
      const held = await takeOne(dying.transport);
      await settleUnheard(dying, end(held));
      return () => dying.transport.settle([end(held)], CALL);
    },
    found: () => [found],
  },
]);

const MOVES: Readonly<Record<string, Move>> = {
  ...Object.fromEntries(settled),
  ...Object.fromEntries(late),

  "settled 'done' when its lease was over": {
    writes: ["x", "+ACK", "delete"],
    async begin({ dying }) {
      await dying.transport.push([one], CALL);
      const held = await takeOne(dying.transport);
      await settleUnheard(dying, DONE(held));
      return () => dying.transport.settle([DONE(held)], CALL);
    },
    found: () => [],
  },

  "settled 'again' beside another": {
    writes: ["w", "w", "+ACK", "+ACK"],
    async begin({ dying: { transport } }) {
      await transport.push([one, two], CALL);
      const held = await take(transport);
      return () =>
        transport.settle(
          held.map(({ queue, token }) => ({ queue, token, to: "again", meta: "next" })),
          CALL,
        );
    },
    found: (gap) => [
      { line: "w", meta: "next" },
      gap === 1 ? { id: "2", line: "b", lost: 1 } : { id: "2", line: "w", meta: "next" },
    ],
  },

  "settled 'again' behind a lost lease": {
    writes: ["w", "+ACK", "delete"],
    async begin({ dying: { transport }, open }) {
      await transport.push([one], CALL);
      await loseTo(open());
      const { queue, token, lost } = await takeOne(transport);
      expect(lost).toBe(1);
      return () => transport.settle([{ queue, token, to: "again", meta: "next" }], CALL);
    },
    found: () => [{ line: "w", meta: "next" }],
  },

  "taken back from a lost lease": {
    writes: ["b", "+ACK"],
    async begin({ dying: { transport }, open }) {
      await transport.push([one], CALL);
      await loseTo(open());
      return () => onAndOn(() => take(transport));
    },
    found: () => [{ line: "b", lost: 1 }],
  },

  "taken back from a second lost lease": {
    writes: ["b", "+ACK", "delete"],
    async begin({ dying: { transport }, open }) {
      await transport.push([one], CALL);
      await loseTo(open());
      await loseTo(open());
      return () => onAndOn(() => take(transport));
    },
    found: () => [{ line: "b", lost: 2 }],
  },

  "given back as it came for nobody": {
    writes: ["b", "+ACK"],
    async begin(stage) {
      const { dying: { transport }, other } = stage;
      const stop = new AbortController();
      const options = { limit: 1, slots: 0, lease: LEASE, wait: LEASE, signal: stop.signal, ...CALL };
      const waiting = transport.reserve([QUEUE], options);
      await becomes("it waits", async () => (await consumer(stage, "relevo")).num_waiting === 1);
      stop.abort();
      await expect(waiting).rejects.toThrow();
      return () => other.push([one], CALL);
    },
    found: () => [{ line: "b" }],
  },

  "moved by who counts when it was due": {
    writes: ["w", "+ACK"],
    async begin({ dying: { transport } }) {
      await transport.push([{ ...one, delay: DELAY }], CALL);
      await pause(1.5 * DELAY);
      return () => onAndOn(() => transport.info(QUEUE, CALL));
    },
    found: () => [{ line: "w" }],
  },

  "moved beside another when they were due": {
    writes: ["w", "w", "+ACK", "+ACK"],
    async begin({ dying: { transport } }) {
      await transport.push([{ ...one, delay: DELAY }, { ...two, delay: DELAY }], CALL);
      await pause(1.5 * DELAY);
      return () => onAndOn(() => transport.info(QUEUE, CALL));
    },
    found: () => [{ line: "w" }, { id: "2", line: "w" }],
  },

  "held until it was due": {
    writes: ["-NAK", "w", "+ACK"],
    async begin({ dying: { transport } }) {
      await transport.push([{ ...one, delay: SOON }], CALL);
      return () => onAndOn(() => transport.info(QUEUE, CALL));
    },
    found: () => [{ line: "w" }],
  },

  "published to two groups": {
    queues: GROUPS,
    writes: ["p", "w", "w", "delete"],
    async begin(stage) {
      await bound(stage);
      return () => stage.dying.transport.push([published], CALL);
    },
    behind: sendOn,
    found: () => GROUPS.map((queue) => ({ queue, line: "w" })),
  },

  "published to two groups under an id of the caller's": {
    queues: GROUPS,
    writes: ["i", "p", "i", "w", "w", "delete"],
    async begin(stage) {
      await bound(stage);
      return () => stage.dying.transport.push([{ ...published, idWindow: WINDOW }], CALL);
    },
    async behind(stage, gap) {
      const again = { ...published, idWindow: WINDOW };
      expect(await stage.other.push([again], CALL)).toEqual([gap === 1 ? "stored" : "duplicate"]);
      await sendOn(stage);
    },
    found: () => GROUPS.map((queue) => ({ queue, line: "w" })),
    last: async ({ other }) =>
      expect(await other.push([{ ...published, idWindow: WINDOW }], CALL)).toEqual(["duplicate"]),
  },

  "kept back as its groups are gone": {
    queues: [A, C],
    writes: ["w", "delete"],
    async begin(stage) {
      await left(stage);
      return () => take(stage.dying.transport, [A]);
    },
    behind: async ({ other }) => await other.topics?.bind("orders", "c", CALL),
    found: () => [{ queue: C, line: "w" }],
  },

  "sent to the first group that was bound": {
    queues: [A],
    writes: ["g", "w", "w", "delete", "delete"],
    async begin({ dying: { transport } }) {
      await transport.push([published, { ...published, id: "2" }], CALL);
      return async () => await transport.topics?.bind("orders", "a", CALL);
    },
    behind: async ({ other }) => await other.topics?.bind("orders", "a", CALL),
    found: () => [{ queue: A, line: "w" }, { queue: A, id: "2", line: "w" }],
  },

  "removed while a worker has it": {
    writes: ["x", "delete", "+ACK", "delete"],
    async begin({ dying: { transport }, other, taken }) {
      await transport.push([one], CALL);
      taken.push(await takeOne(other));
      return () => transport.remove(QUEUE, "reserved", "all", CALL);
    },
    async behind({ other, taken }) {
      const again = taken.splice(0).map(({ queue, token }): Settlement => (
        { queue, token, to: "again", meta: "next" }
      ));
      expect(await other.settle(again, CALL)).toEqual(["stale"]);
    },
    found: () => [],
  },

  "removed behind a worker's death": {
    writes: ["x", "delete", "+ACK", "delete"],
    async begin({ dying: { transport }, open }) {
      await transport.push([one], CALL);
      await loseTo(open());
      return () => transport.remove(QUEUE, "reserved", "all", CALL);
    },
    behind: ({ other }, gap) => removeRest(other, "reserved", gap),
    found: () => [],
  },

  "removed while another holds it until it is due": {
    writes: ["x", "delete", "delete"],
    async begin(stage) {
      const { dying: { transport }, other } = stage;
      // Who holds it may move it once it is due, which is not what this is about.
      await transport.push([{ ...one, delay: FAR }], CALL);
      await becomes("another holds it", async () => {
        await other.info(QUEUE, CALL);
        return (await consumer(stage, "relevo_delayed")).num_ack_pending === 1;
      });
      return () => transport.remove(QUEUE, "delayed", "all", CALL);
    },
    behind: ({ other }, gap) => removeRest(other, "delayed", gap),
    found: () => [],
  },

  "sent on as the server gave it up": {
    writes: ["b", "+ACK", "delete"],
    async begin(stage) {
      const { open } = stage;
      await open().push([one], CALL);
      await limit(stage, "relevo");
      await loseTo(open());
      return () => countGivenUp(stage, "relevo");
    },
    found: () => [{ line: "b", lost: 1 }],
  },

  "sent on as the server gave it up behind a lost lease": {
    writes: ["b", "+ACK", "delete", "delete"],
    async begin(stage) {
      const { open } = stage;
      await open().push([one], CALL);
      await limit(stage, "relevo_back");
      await loseTo(open());
      await loseTo(open());
      return () => countGivenUp(stage, "relevo_back");
    },
    found: () => [{ line: "b", lost: 2 }],
  },

  "pushed under an id of the caller's": {
    writes: ["i", "w", "i"],
    async begin({ dying: { transport } }) {
      await transport.push([two], CALL);
      const { queue, token } = await takeOne(transport);
      await transport.settle([{ queue, token, to: "done" }], CALL);
      return () => transport.push([chosen], CALL);
    },
    behind: async ({ other }, gap) =>
      expect(await other.push([chosen], CALL))
        .toEqual([gap === 1 ? "stored" : "duplicate"]),
    found: () => [{ line: "w" }],
    last: async ({ other }) => expect(await other.push([chosen], CALL)).toEqual(["duplicate"]),
  },

  "pushed under an id that is free again when the job is done": {
    writes: ["i", "w", "i"],
    async begin({ dying: { transport } }) {
      await transport.info(QUEUE, CALL);
      return () => transport.push([{ ...one, idWindow: 0 }], CALL);
    },
    behind: async ({ other }, gap) =>
      expect(await other.push([{ ...one, idWindow: 0 }], CALL))
        .toEqual([gap === 1 ? "stored" : "duplicate"]),
    found: () => [{ line: "w" }],
    last: async ({ other }) => expect(await other.push([{ ...one, idWindow: 0 }], CALL)).toEqual(["stored"]),
  },

  "pushed at its tick": {
    writes: ["s", "w", "s"],
    async begin(stage) {
      await scheduled(stage, QUEUE);
      return () => advance(stage.dying.transport, one, NEXT_TICK);
    },
    behind: (stage) => advanceOnce(stage, one, NEXT_TICK),
    found: () => [{ line: "w" }],
  },

  "pushed at its tick under an id that the caller chose": {
    writes: ["s", "i", "s", "w", "i", "s"],
    async begin(stage) {
      await scheduled(stage, QUEUE);
      return () => advance(stage.dying.transport, chosen, NEXT_TICK);
    },
    behind: (stage) => advanceOnce(stage, chosen, NEXT_TICK),
    found: () => [{ line: "w" }],
  },

  "pushed at its last tick": {
    writes: ["s", "w", "delete"],
    async begin(stage) {
      await scheduled(stage, QUEUE);
      return () => advance(stage.dying.transport, one);
    },
    behind: (stage) => advanceOnce(stage, one),
    found: () => [{ line: "w" }],
  },

  "published at its tick": {
    queues: GROUPS,
    writes: ["s", "p", "w", "w", "delete", "s"],
    async begin(stage) {
      await bound(stage);
      await scheduled(stage, TOPIC);
      return () => advance(stage.dying.transport, published, NEXT_TICK);
    },
    async behind(stage) {
      await advanceOnce(stage, published, NEXT_TICK);
      await sendOn(stage);
    },
    found: () => GROUPS.map((queue) => ({ queue, line: "w" })),
  },
};

/** What a message writes, as the table names it; undefined for what only asks. */
function writtenBy(subject: string, data: string): string | undefined {
  if (subject.startsWith("$JS.ACK.")) return data === "+WPI" ? undefined : data.split(" ")[0];
  if (subject.startsWith("$JS.API.STREAM.MSG.DELETE.")) return "delete";
  if (subject.startsWith("$JS.API.STREAM.PURGE.")) return "purge";
  return subject.startsWith("$JS.") ? undefined : subject.split(".")[2];
}

/** The write behind so many, which are noted with it. */
function diesBehind(gap: number, written: string[]): (subject: string, data: string) => boolean {
  return (subject, data) => {
    const write = writtenBy(subject, data);
    if (write !== undefined) written.push(write);
    return written.length > gap;
  };
}

/** All jobs that lie in the streams of a prefix. */
async function storedIn(server: NatsServer, prefix: string): Promise<readonly Required<Found>[]> {
  await using raw = await server.raw();
  const filter = JSON.stringify({ subject: `${prefix}.>` });
  const { streams } = JSON.parse(await raw.request("$JS.API.STREAM.LIST", filter));
  const found: Required<Found>[] = [];
  for (const { config: { name, description } } of streams ?? []) {
    const queue = JSON.parse(description.slice(description.indexOf('"')));
    for (const { subject, relevo } of await lettersIn(server, name)) {
      const [, , line = ""] = subject.split(".");
      if (!JOBS.test(line) || !Array.isArray(relevo)) continue;
      const [id, , meta, { lost = 0 } = {}] = relevo;
      found.push({ queue, line, id, lost, meta });
    }
  }
  return found;
}

/** A job in a few words. */
function told({ queue = QUEUE, id = "1", lost = 0, meta = "old" }: Partial<Found>): string {
  return `${queue} ${id} ${meta} lost ${lost}`;
}

/** What is there, as the stored messages, those who reserve, and the counts tell it. */
interface Scene {
  readonly stored: readonly string[];
  readonly taken: readonly string[];
  readonly counts: readonly Counts[];
}

function isDead({ line }: Found): boolean {
  return line === "f" || line === "t";
}

/** What is to be there when the other has taken all that lives. */
function wanted(queues: readonly string[], jobs: readonly Found[]): Scene {
  return {
    stored: jobs.map((one) => `${one.line} ${told(one)}`).sort(),
    taken: jobs.filter((one) => !isDead(one)).map(told).sort(),
    counts: queues.map((name) => {
      const here = jobs.filter(({ queue = QUEUE }) => queue === name);
      const failed = here.filter(({ line }) => line === "f").length;
      const timeout = here.filter(({ line }) => line === "t").length;
      return counted({ reserved: here.length - failed - timeout, failed, timeout });
    }),
  };
}

/** What is there when the other has taken what comes, until that is as it is wanted. */
async function sceneOf(stage: Stage, queues: readonly string[], wants: Scene): Promise<Scene> {
  const { server, prefix, other, taken } = stage;
  for (const end = performance.now() + PATIENCE;;) {
    taken.push(...await take(other, queues));
    const counts = await Promise.all(queues.map(async (queue) => {
      const { waiting, delayed, reserved, failed, timeout } = await other.info(queue, CALL);
      return { waiting, delayed, reserved, failed, timeout };
    }));
    const stored = await storedIn(server, prefix);
    const scene = {
      stored: stored.map((one) => `${one.line} ${told(one)}`).sort(),
      taken: taken.map(told).sort(),
      counts,
    };
    if (JSON.stringify(scene) === JSON.stringify(wants) || performance.now() > end) return scene;
    await pause(RARELY);
  }
}

describeOn(["nats"], `Over NATS a job`, () => {
  const start = owned(() => startNats());

  async function stage(): Promise<Stage> {
    const server = await start();
    const prefix = `cut-${crypto.randomUUID()}`;
    const opened: Transport[] = [];
    const open = (): Transport => {
      const transport = nats({ servers: server.url, prefix, ackWait: ACK_WAIT });
      opened.push(transport);
      return transport;
    };
    return {
      server,
      prefix,
      dying: await cutting(server.url, prefix, ACK_WAIT),
      other: open(),
      taken: [],
      open,
      async [Symbol.asyncDispose]() {
        for (const transport of opened) await transport[Symbol.asyncDispose]();
      },
    };
  }

  for (const [title, move] of Object.entries(MOVES)) {
    const { writes, queues = [QUEUE] } = move;
    for (let gap = 1; gap < writes.length; gap++) {
      const jobs = move.found(gap);
      const end = jobs.length === 0 ? "is gone" : "is there once";
      const behind = writes.slice(0, gap).join(", ");
      test.concurrent(`${title} ${end}, though its process died behind ${behind}`, async () => {
        await using here = await stage();
        const { dying, other, taken } = here;
        const call = await move.begin(here);
        const written: string[] = [];
        await dying.cut(call, diesBehind(gap, written));
        expect(written).toEqual(writes.slice(0, gap + 1));
        await move.behind?.(here, gap);
        expect(await sceneOf(here, queues, wanted(queues, jobs))).toEqual(wanted(queues, jobs));
        expect(await other.settle(taken.map(DONE), CALL)).toEqual(taken.map(() => "settled"));
        taken.length = 0;
        const dead = wanted(queues, jobs.filter(isDead));
        expect(await sceneOf(here, queues, dead)).toEqual(dead);
        await move.last?.(here, gap);
      }, 30_000);
    }
  }
});
