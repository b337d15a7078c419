/** What a full store of NATS must not cost: scenes for any number of servers and any kind of limit. */
import { connect, headers } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { createRelay, fixed } from "../../../mod.ts";
import { job } from "../../../src/testing/conformance/lab.ts";
import type { Transport } from "../../../src/contract/transport.ts";
import { nats, type NatsOptions } from "../../../src/transports/nats/mod.ts";
import { free, heard, running } from "../../web/support/kit.ts";
import { becomes } from "../support/becomes.ts";
import { fillAndEmpty } from "../support/full.ts";
import { spawnScript } from "../support/spawn.ts";

const HOLDS = new URL("./fixtures/holds.ts", import.meta.url);
export const CALL = { deadline: 20_000 };
export const QUEUE = "work";
export const PAYLOAD = 30_000;
/** Milliseconds from a dispatch to its due time: longer than it takes to fill a store. */
const DELAY = 12_000;
/** Milliseconds of a killed worker's lease. */
const LEASE = 3_000;
/** Milliseconds in which all must be done: an overdue job is found within a minute. */
export const PATIENCE = 240_000;
const jobs = { work: { schema: free<string>(), queue: QUEUE, maxAttempts: 1_000_000, backoff: fixed(100) } };

/** A store with a limit. */
export interface Store {
  /** The URLs of its servers, with user and password. */
  readonly urls: readonly string[];
  readonly options: Partial<NatsOptions>;
}

/** The user of an account. */
export function userOf(account: string): { readonly user: string; readonly pass: string } {
  return { user: account, pass: "p" };
}

/** Accounts with so many megabytes each in a server's configuration; one that is named `free` has no limit. */
export function accounts(names: readonly string[], megabytes: number): string {
  const each = names.map((name) => {
    const jetstream = name === "free" ? "enabled" : `{ max_file: ${megabytes}MB }`;
    return `${name} { jetstream: ${jetstream}, users: [ { user: ${name}, password: p } ] }`;
  });
  return `accounts { ${each.join(", ")} }`;
}

export function transportOn(
  { urls, options }: Store,
  prefix: string,
  more: Partial<NatsOptions> = {},
): Transport {
  return nats({ servers: urls, prefix, ackWait: LEASE, ...options, ...more });
}

/** Pushes delayed jobs until one is refused; the ids of those that were stored. */
export async function fill(
  transport: Transport,
  when: { delay?: number; at?: number },
): Promise<ReadonlySet<string>> {
  const stored = new Set<string>();
  const payload = new TextEncoder().encode(JSON.stringify("x".repeat(PAYLOAD)));
  for (let n = 0;; n++) {
    const [pushed] = await transport.push([
      job({ id: `j${n}`, name: "work", queue: QUEUE, payload, ...when }),
    ], CALL);
    if (pushed !== "stored") {
      expect(pushed).toMatchObject({ code: "TRANSPORT_FULL" });
      return stored;
    }
    stored.add(`j${n}`);
  }
}

/** Runs a worker until all jobs are done; what it was told, and how often each ran. */
export async function finish(store: Store, prefix: string, wanted: ReadonlySet<string>): Promise<void> {
  const done = new Set<string>();
  await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
  relay.handle("work", (_, { job: { id } }) => void done.add(id));
  const worker = running(relay, { concurrency: 10, poll: 500 });
  try {
    await becomes("all that was stored is done", () => wanted.difference(done).size === 0, PATIENCE);
    await becomes("nothing is left", async () => {
      const { waiting, delayed, reserved } = await relay.info("work");
      return waiting + delayed + reserved === 0;
    }, PATIENCE);
    expect(await relay.info("work")).toMatchObject({ failed: 0, timeout: 0 });
  } finally {
    await worker.abort();
  }
  expect(done).toEqual(wanted);
}

/** Delayed jobs fill a store; a worker begins all of them, and is killed: they are done by another. */
export async function killedWithAll(store: Store): Promise<void> {
  const prefix = `full-${crypto.randomUUID()}`;
  const filler = transportOn(store, prefix);
  const stored = await fill(filler, { delay: DELAY });
  expect(stored.size).toBeGreaterThan(10);
  await filler[Symbol.asyncDispose]();
  const [url = ""] = store.urls;
  await using holder = spawnScript(HOLDS, [url, prefix, `${LEASE}`, `${stored.size}`]);
  for (let begun = 0; begun < stored.size;) if (await holder.next() === "began") begun++;
  holder.kill("SIGKILL");
  await holder.exited;
  await finish(store, prefix, stored);
  await using after = transportOn(store, prefix);
  await becomes("there is room again", async () => {
    const [pushed] = await after.push([job({ queue: QUEUE })], CALL);
    return pushed === "stored";
  });
}

/**
 * Jobs are delayed to one instant, at which another program has filled the store, for a second: all are done. A machine
 * that is too slow to fill it by then has `times` as long for it in the next play.
 */
export async function fullWhenDue(store: Store, replicas: number, times = 1): Promise<void> {
  const prefix = `due-${crypto.randomUUID()}`;
  const transport = transportOn(store, prefix);
  const at = Date.now() + 8_000 * times;
  const ids = new Set(Array.from({ length: 10 }, (_, n) => `j${n}`));
  const payload = new TextEncoder().encode(JSON.stringify("x".repeat(PAYLOAD)));
  const pushed = await transport.push(
    [...ids].map((id) => job({ id, name: "work", queue: QUEUE, payload, at })),
    CALL,
  );
  expect(new Set(pushed)).toEqual(new Set(["stored"]));
  const ballast = await fillByHand(store, replicas);
  if (Date.now() >= at && times < 8) {
    await transport[Symbol.asyncDispose]();
    await ballast.remove();
    await finish(store, prefix, ids);
    return await fullWhenDue(store, replicas, 2 * times);
  }
  expect(Date.now(), "the store was filled in time").toBeLessThan(at);
  await becomes("the jobs have been due for a second", () => Date.now() >= at + 1_000);
  // None could be moved: the fault struck.
  expect((await transport.info(QUEUE, CALL)).delayed).toBe(ids.size);
  await transport[Symbol.asyncDispose]();
  await ballast.remove();
  await finish(store, prefix, ids);
}

/** Jobs that are begun together when a store is left no room at all. */
const BEGUN = 50;

/**
 * All jobs are held when another program fills the store to the brim, and what could be given up for moves is gone, too.
 * They fail, and cannot be moved; once they succeed they are done where they lie, though no room ever comes.
 */
export async function doneWithoutRoom(store: Store, replicas: number): Promise<void> {
  const prefix = `brim-${crypto.randomUUID()}`;
  await using relay = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
  const begun = new Set<string>();
  const done = new Set<string>();
  const { promise: isFull, resolve: begin } = Promise.withResolvers<void>();
  let failing = true;
  relay.handle("work", async (_, { job: { id } }) => {
    begun.add(id);
    await isFull;
    if (failing) throw new Error("no room for this");
    done.add(id);
  });
  const stale = heard(relay.events, "stale");
  const back = heard(relay.events, "released");
  const all = await relay.dispatchMany(
    Array.from({ length: BEGUN }, () => ({ name: "work", payload: "x" })),
  );
  const ids = new Set(all.map(({ id }) => id));
  const worker = running(relay, { concurrency: BEGUN, poll: 500 });
  try {
    await becomes("all have begun", () => begun.size === BEGUN);
    const ballast = await fillByHand(store, replicas, `${prefix}_${QUEUE}`);
    begin();
    await becomes("each was given back as it was", () => {
      return new Set(back.flatMap(({ job: { id }, reason }) => reason === "full" ? [id] : [])).size === BEGUN;
    }, PATIENCE);
    expect(done.size).toBe(0);
    failing = false;
    await becomes("all are done, in a store that is full still", () => done.size === BEGUN, PATIENCE);
    await becomes("nothing is left", async () => {
      const { waiting, delayed, reserved } = await relay.info("work");
      return waiting + delayed + reserved === 0;
    }, PATIENCE);
    expect(done).toEqual(ids);
    expect(stale, "deliveries that were lost").toEqual([]);
    expect(await relay.info("work")).toMatchObject({ failed: 0, timeout: 0 });
    await ballast.remove();
  } finally {
    begin();
    await worker.abort();
  }
}

/** The same, and the worker that holds the jobs is killed: another one gets them where they lie. */
export async function killedWithoutRoom(store: Store, replicas: number): Promise<void> {
  const prefix = `brim-${crypto.randomUUID()}`;
  const [url = ""] = store.urls;
  await using holder = spawnScript(HOLDS, [url, prefix, `${LEASE}`, `${BEGUN}`]);
  await using filler = transportOn(store, prefix);
  const ids = new Set(Array.from({ length: BEGUN }, (_, n) => `j${n}`));
  const payload = new TextEncoder().encode(JSON.stringify("x"));
  const pushed = await filler.push(
    [...ids].map((id) => job({ id, name: "work", queue: QUEUE, payload })),
    CALL,
  );
  expect(new Set(pushed)).toEqual(new Set(["stored"]));
  for (let begun = 0; begun < BEGUN;) if (await holder.next() === "began") begun++;
  const ballast = await fillByHand(store, replicas, `${prefix}_${QUEUE}`);
  holder.kill("SIGKILL");
  await holder.exited;
  await finish(store, prefix, ids);
  await ballast.remove();
}

/**
 * A process that only dispatches meets a store that the worker of another one finds full: it is told, and dispatches
 * again once there is room.
 */
export async function toldBesideWorker(store: Store, replicas: number): Promise<void> {
  const prefix = `beside-${crypto.randomUUID()}`;
  const warnings: string[] = [];
  const warn = (text: string): void => void warnings.push(text);
  await using relay = createRelay({ jobs, transport: transportOn(store, prefix, { warn }), log: false });
  await using beside = createRelay({ jobs, transport: transportOn(store, prefix), log: false });
  const stored = new Set<string>();
  const done = new Set<string>();
  let failing = true;
  relay.handle("work", (_, { job: { id } }) => {
    if (failing) throw new Error("in vain");
    done.add(id);
  });
  const payload = "x".repeat(PAYLOAD);
  for (let n = 0; n < 10; n++) stored.add((await beside.dispatch("work", payload)).id);
  const worker = running(relay, { concurrency: 10, poll: 500 });
  try {
    const ballast = await fillByHand(store, replicas);
    await becomes("the worker says that the store is full", () => /full/.test(`${warnings}`), PATIENCE);
    // The room that the worker was given for its moves may take the first ones.
    await becomes("a dispatch is refused", async () => {
      const [answer] = await Promise.allSettled([beside.dispatch("work", payload)]);
      if (answer.status === "fulfilled") stored.add(answer.value.id);
      else expect(answer.reason).toMatchObject({ code: "TRANSPORT_FULL" });
      return answer.status === "rejected";
    }, PATIENCE);
    await ballast.remove();
    await becomes("a dispatch is stored again", async () => {
      const [answer] = await Promise.allSettled([beside.dispatch("work", payload)]);
      if (answer.status === "fulfilled") stored.add(answer.value.id);
      return answer.status === "fulfilled";
    }, PATIENCE);
    failing = false;
    await becomes("all that was stored is done", () => stored.difference(done).size === 0, PATIENCE);
  } finally {
    await worker.abort();
  }
  expect(done).toEqual(stored);
}

/** The scenes of an account's limit, on so many servers; each has an account of its own. */
export function accountScenes(storeOf: (account: string) => Promise<Store>, servers: number): void {
  test.concurrent(
    "by an account's limit: a worker is killed that has all delayed jobs, and all are done",
    async () => {
      await killedWithAll(await storeOf("killed"));
    },
    PATIENCE,
  );

  test.concurrent(
    "by an account's limit for a second at the instant at which jobs are due: all are done",
    async () => {
      await fullWhenDue(await storeOf("due"), servers);
    },
    PATIENCE,
  );

  test.concurrent(
    "by an account's limit without room for any move: jobs that failed are done where they lie when they succeed",
    async () => await doneWithoutRoom(await storeOf("brim"), servers),
    PATIENCE,
  );

  test.concurrent(
    "by an account's limit without room for any move: a worker is killed that has all jobs, and all are done by another",
    async () => await killedWithoutRoom(await storeOf("held"), servers),
    PATIENCE,
  );

  test.concurrent(
    "by an account's limit is told to a process that only dispatches, which dispatches again when there is room",
    async () => await toldBesideWorker(await storeOf("beside"), servers),
    PATIENCE,
  );

  test(
    "by an account's limit while everything fails is emptied when all succeeds, by the worker that was there",
    async () => {
      const { urls, options } = await storeOf("failing");
      expect(await fillAndEmpty(nats({ servers: urls, ...options }))).toBeGreaterThan(100);
    },
    PATIENCE,
  );
}

/** Messages of another program. */
export interface Ballast {
  /** Makes room for the part, once. */
  leave(): Promise<void>;
  /** Removes all, and so makes room. */
  remove(): Promise<void>;
}

/**
 * Fills a store from another stream, as another program does, until the server refuses; with the name of a queue's
 * stream also the room that its first messages take, which could be given up. `part`: bytes that can be left later;
 * `largest`: those of the first messages, by which a server exceeds a limit of its own.
 */
export async function fillByHand(
  { urls }: Store,
  replicas: number,
  stream?: string,
  part = 0,
  largest = 200_000,
): Promise<Ballast> {
  const [first = ""] = urls;
  const { username, password } = new URL(first.replace("nats:", "http:"));
  const user = username === "" ? {} : { user: username, pass: password };
  const connection = await connect({ servers: urls.map((url) => url.replace(/^.*[@/]/, "")), ...user });
  const name = `ballast-${crypto.randomUUID()}`;
  const api = async (subject: string, body?: object): Promise<unknown> =>
    (await connection.request(`$JS.API.${subject}`, body === undefined ? "" : JSON.stringify(body), {
      timeout: 10_000,
    }))
      .json<{ readonly error?: unknown }>().error;
  expect(await api(`STREAM.CREATE.${name}`, { name, subjects: [name], num_replicas: replicas }))
    .toBeUndefined();
  if (stream !== undefined) {
    expect(await api(`STREAM.PURGE.${stream}`, { filter: "*.*.o.first" })).toBeUndefined();
  }
  const put = async (size: number): Promise<boolean> => {
    const answer = await connection.request(name, new Uint8Array(size), {
      timeout: 10_000,
      headers: headers(),
    });
    return answer.json<{ readonly error?: unknown }>().error === undefined;
  };
  expect(await put(part)).toBe(true);
  // The last gaps are filled by small ones.
  for (let size = largest; size > 50;) if (!await put(size)) size = Math.floor(size / 2);
  return {
    async leave() {
      expect(await api(`STREAM.MSG.DELETE.${name}`, { seq: 1, no_erase: true })).toBeUndefined();
    },
    async remove() {
      expect(await api(`STREAM.DELETE.${name}`)).toBeUndefined();
      await connection.close();
    },
  };
}
