/** A scene: one store, processes that work on it, the ledgers that they leave, and the judgement at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { createRelay, type QueueInfo, type Relay } from "../../../../mod.ts";
import { CHANNELS } from "../../../../src/jobs/job.ts";
import { systemRuntime } from "../../../../src/runtime.ts";
import { checkHistory, type HistoryLine } from "../../../../src/testing/mod.ts";
import { createRecorder } from "../../../web/simulation/recorder.ts";
import { type Child, spawnScript } from "../../support/spawn.ts";
import { openStore, type Store } from "../fixtures/store.ts";
import {
  jobs,
  type Order,
  type ProducerOrder,
  QUEUE,
  type Told,
  type WorkerOrder,
} from "../fixtures/task.ts";
import { now, openLedger, readLedgers, type Runs, runsOf } from "./ledger.ts";

/** Fewer jobs in hand than these, and a fault has not struck. */
export const IN_HAND = 10;
/** How often a fault that did not strike is tried again. */
export const TRIES = 4;
/** How often a process is looked at for a moment in which it has enough in hand. */
const LOOKS = 50;
/** Milliseconds by which clocks of one machine, read by several processes, may differ. */
const SLACK = 5;

/** Milliseconds for which a store may refuse to be looked at, as it does while it is down. */
const PATIENCE = 60_000;

/** What a test says of a process; its store is the scene's unless told. */
export type Part<T extends Order> = Omit<T, keyof Order> & Partial<Pick<T, "store" | "callTimeout">>;

/** Every count of a queue in which nothing is left. */
export const NOTHING: QueueInfo = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };

/** A child of a scene, and how it is listened to. */
export interface Actor {
  readonly name: string;
  readonly child: Child;
  /** The next thing told of this kind that `wanted` accepts. */
  told(tell: Told["tell"], wanted?: (told: Told) => boolean): Promise<Told>;
  /** All that was told from now on until the end. */
  rest(): Promise<readonly Told[]>;
  /** What a worker's process has used so far. */
  measure(): Promise<Told>;
  /** Ends the process by SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
  /** Asks a worker to stop, and waits until it is gone; says what it told meanwhile. */
  stop(): Promise<readonly Told[]>;
}

export interface Scene {
  readonly folder: string;
  readonly store: Store;
  readonly relay: Relay<typeof jobs>;
  worker(order?: Part<WorkerOrder>): Actor;
  producer(order: Part<ProducerOrder>): Actor;
  /** Waits until the queue's counts are as wanted. */
  counts(wanted: (info: QueueInfo) => boolean): Promise<QueueInfo>;
  /** Writes down, from the store, what a list of all channels and `info` say at one moment in which nothing happens. */
  note(): Promise<void>;
  /**
   * Reads the ledgers and what is left in the store, and expects no broken promise; of jobs that `apart` names none was
   * made.
   */
  judge(apart?: (history: readonly HistoryLine[]) => ReadonlySet<string>): Promise<
    { readonly history: readonly HistoryLine[]; readonly runs: Runs; readonly left: QueueInfo }
  >;
}

/** Opens a scene whose workers have leases of so many milliseconds. */
export type OpenScene = (lease: number) => Scene;

/** Opens a scene on the store that `storeOf` names, a SQLite file in the scene's folder by default. */
export function openScene(storeOf: (folder: string) => Store = inFile): Scene {
  const folder = mkdtempSync(join(tmpdir(), "relevo-faults-"));
  const store = storeOf(folder);
  const ledger = openLedger(folder, "judge");
  const recorder = createRecorder({ process: "judge", now, write: ledger.write });
  const relay = createRelay({ jobs, transport: recorder.transport(openStore(store)) });
  const actors: Actor[] = [];
  const runtime = systemRuntime();
  onTestFinished(async ({ task }) => {
    await Promise.all(actors.map((actor) => actor.kill()));
    await relay.close();
    ledger.close();
    // The reader of a failure wants to know what happened.
    if (task.result?.state === "fail") console.log(`The ledgers of this scene are kept in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  });

  function act(script: string, order: object): Actor {
    const name = `${script}-${actors.length}`;
    const url = new URL(`../fixtures/${script}.ts`, import.meta.url);
    const actor = actorOf(
      name,
      spawnScript(url, [JSON.stringify({ store, ...order, folder, process: name })]),
    );
    actors.push(actor);
    return actor;
  }

  async function listed(): Promise<readonly HistoryLine[]> {
    const lines: HistoryLine[] = [];
    for (const channel of CHANNELS) {
      let cursor: string | undefined;
      do {
        const page = await relay.list(QUEUE, channel, { limit: 1_000, cursor });
        for (const { id, dead } of page.jobs) {
          lines.push({
            op: "left",
            at: now(),
            queue: QUEUE,
            id,
            channel,
            ...(dead === undefined ? {} : { reason: dead.reason }),
          });
        }
        cursor = page.cursor;
      } while (cursor !== undefined);
    }
    return lines;
  }

  async function look(): Promise<readonly HistoryLine[]> {
    const left = await listed();
    const { waiting, delayed, reserved, failed, timeout } = await relay.info(QUEUE);
    const found: Record<string, number> = {};
    for (const line of left) if (line.op === "left") found[line.channel] = (found[line.channel] ?? 0) + 1;
    const counts = { waiting, delayed, reserved, failed, timeout };
    ledger.write([{ op: "info", at: now(), queue: QUEUE, counts, listed: found }]);
    return left;
  }

  return {
    folder,
    store,
    relay,
    worker: (order = {}) => act("worker", order),
    producer: (order) => act("producer", order),
    async counts(wanted) {
      for (let since = now();;) {
        try {
          const info = await relay.info(QUEUE);
          if (wanted(info)) return info;
          since = now();
        } catch (error) {
          if (now() - since > PATIENCE) throw error;
        }
        await runtime.sleep(20);
      }
    },
    async note() {
      await look();
    },
    async judge(apart = () => new Set()) {
      ledger.write(await look());
      const { history } = readLedgers(folder);
      const spared = apart(history);
      const judged = history.filter((line) => {
        if ("id" in line) return !spared.has(line.id);
        return line.op !== "info" || relay.transport.features.exactInfo;
      });
      expect(checkHistory(judged, { slack: SLACK }).slice(0, 10)).toEqual([]);
      return { history, runs: runsOf(history), left: await relay.info(QUEUE) };
    },
  };
}

function inFile(folder: string): Store {
  return { kind: "sqlite", path: join(folder, "jobs.db") };
}

function actorOf(name: string, child: Child): Actor {
  const parse = (line: string): Told => JSON.parse(line);
  async function rest(): Promise<readonly Told[]> {
    const all: Told[] = [];
    for await (const line of child.lines) all.push(parse(line));
    await child.exited;
    return all;
  }
  async function told(tell: Told["tell"], wanted: (told: Told) => boolean = () => true): Promise<Told> {
    for (;;) {
      const told = parse(await child.next());
      if (told.tell === tell && wanted(told)) return told;
    }
  }
  return {
    name,
    child,
    rest,
    told,
    async measure() {
      child.write("measure");
      return await told("measured");
    },
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async stop() {
      child.write("stop");
      return await rest();
    },
  };
}

/** Nothing is left to be done. */
export function drained({ waiting, delayed, reserved }: QueueInfo): boolean {
  return waiting + delayed + reserved === 0;
}

/** Duplicates are no failures, but the reader of a report wants to know how many there are. */
export function printRepeated(what: string, { starts, repeated }: Runs): void {
  const share = (100 * repeated / Math.max(1, starts.size)).toFixed(2);
  console.log(`${what}: ${repeated} of ${starts.size} jobs ran again (${share} %)`);
}

/**
 * Kills a process at a moment in which it has enough in hand: it is stopped, and goes on to its next sign of life when
 * it has not. Says whether the kill struck. It does not where the work is `over` first, as no sign of life comes then.
 */
export async function killBusy(
  actor: Actor,
  sign: Told["tell"],
  hand: () => number,
  over: Promise<void> = new Promise(() => undefined),
): Promise<boolean> {
  for (let looks = 0; looks < LOOKS; looks++) {
    actor.child.kill("SIGSTOP");
    if (hand() >= IN_HAND) break;
    actor.child.kill("SIGCONT");
    if (await Promise.race([actor.told(sign), over.then(() => "over" as const)]) === "over") break;
  }
  await actor.kill();
  return hand() >= IN_HAND;
}

/** What comes within so many milliseconds, else undefined: a fault that it is a sign of has not struck. */
export async function within<T>(ms: number, coming: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const late = systemRuntime().sleep(ms, over.signal).then(() => undefined, () => undefined);
  return await Promise.race([coming, late]).finally(() => over.abort());
}

/**
 * Plays a scene until its fault has struck; a play that answers undefined does not count. Each play may be twice as slow
 * as the one before, `times` as slow as the first: leases, and jobs that must still run when a further process has
 * started, last so many times as long, for machines that are slow or stand still for seconds.
 */
export async function untilStruck<T>(play: (times: number) => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < TRIES; tries++) {
    const result = await play(2 ** tries);
    if (result !== undefined) return result;
  }
  throw new Error(`The fault did not strike in ${TRIES} plays with ${IN_HAND} jobs in hand`);
}
