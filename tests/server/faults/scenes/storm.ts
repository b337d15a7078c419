/**
 * A storm: 10,000 jobs go from four producers to four workers while the broker is struck again and again, and a worker
 * is killed every second.
 */
import { unlessAborted } from "../../../../src/promises.ts";
import { systemRuntime } from "../../../../src/runtime.ts";
import type { HistoryLine } from "../../../../src/testing/mod.ts";
import {
  acknowledged,
  ended,
  handsAt,
  inHand,
  keptUpLate,
  now,
  recovery,
  type Runs,
  touched,
} from "../support/ledger.ts";
import { type Actor, drained, IN_HAND, NOTHING, printRepeated, type Scene } from "../support/scene.ts";
import { expect } from "vitest";

export const JOBS = 10_000;
const CREW = 4;
const EVERY = 1_000;
/** Milliseconds between two looks. */
const LOOK = 20;

/** Something that happens to the broker. */
export interface Strike {
  readonly what: string;
  /** Does it; resolves when the broker is whole again, with the instant at which what was struck was gone. */
  strike(): Promise<number>;
}

export interface Storm {
  readonly scene: Scene;
  readonly lease: number;
  /** In their order, spread evenly over the jobs. */
  readonly strikes: readonly Strike[];
  /**
   * Milliseconds before a strike of which the broker's makers say that what was settled, extended or handed over in them
   * may be undone: such jobs, and those in hand, may run again early; so may a job whose lease was over when its worker
   * kept it up, as the broker has it on its way to another by then. None may be lost. Default: the promise is whole.
   */
  readonly undone?: number;
}

/** What a storm left behind. */
export interface Aftermath {
  readonly history: readonly HistoryLine[];
  readonly runs: Runs;
  /** When each strike began. */
  readonly times: readonly number[];
  /** Workers that were killed. */
  readonly kills: number;
}

const { sleep } = systemRuntime();

/** Lets a storm go by; undefined when a fault of it struck too few jobs in hand. */
export async function weather({ scene, lease, strikes, undone }: Storm): Promise<Aftermath | undefined> {
  await scene.relay.queues();
  const share = JOBS / CREW;
  const task = { does: "wait", ms: 80 } as const;
  const flow = { count: share, bulk: 1, width: 8, pause: 40, repeat: true, callTimeout: 2_000, task };
  const producers = Array.from({ length: CREW }, (_, n) => scene.producer({ from: n * share, ...flow }));
  const order = { lease, concurrency: 16, callTimeout: 2_000 };
  const crew = Array.from({ length: CREW }, () => scene.worker(order));
  const times: number[] = [];
  const gone: number[] = [];

  const calm = new AbortController();
  const killing = killOn(scene, crew, order, calm.signal);
  for (const [n, { strike }] of strikes.entries()) {
    await ended(scene.folder, (n + 1) * JOBS / (strikes.length + 1));
    times.push(now());
    gone.push(await strike());
  }
  const stories = await Promise.all(producers.map((producer) => producer.rest()));
  calm.abort();
  const kills = await killing;
  await scene.counts(drained);
  await Promise.all(crew.map((worker) => worker.stop()));

  const { history, runs, left } = await scene.judge((history) => {
    const windows = undone === undefined ? [] : gone.map((end, n) => {
      return touched(history, (times[n] ?? 0) - undone, end + recovery(history, end).last);
    });
    if (undone !== undefined) windows.push(keptUpLate(history));
    return new Set(windows.flatMap((window) => [...window]));
  });
  expect(left).toEqual(NOTHING);
  expect(acknowledged(history).size).toBe(JOBS);
  expect(runs.ends.size).toBe(JOBS);
  const refused = stories.flat().filter(({ tell }) => tell === "refused").map(({ code }) => code);
  const hands = times.map((time) => handsAt(history, time));
  tell({ strikes, history, gone, hands, kills, refused });
  return Math.min(...hands, kills.least) < IN_HAND ? undefined : { history, runs, times, kills: kills.count };
}

interface Kills {
  readonly count: number;
  /** The fewest jobs that one of them had in hand. */
  readonly least: number;
}

/**
 * Kills the oldest of the crew every second, as soon as it has enough in hand, and puts another in its place; on a busy
 * machine less often, as the other must have begun to work.
 */
async function killOn(
  scene: Scene,
  crew: Actor[],
  order: Parameters<Scene["worker"]>[0],
  signal: AbortSignal,
): Promise<Kills> {
  let count = 0;
  let least = Infinity;
  for (let next = now() + EVERY; !signal.aborted; next = Math.max(next + EVERY, now())) {
    await sleep(Math.max(0, next - now()), signal).catch(() => undefined);
    const victim = crew[0];
    if (victim === undefined || signal.aborted) break;
    const hand = await strikeDown(scene, victim, signal);
    if (hand === undefined) break;
    const successor = scene.worker(order);
    crew.shift();
    crew.push(successor);
    count++;
    least = Math.min(least, hand);
    await unlessAborted(successor.told("started"), signal).catch(() => undefined);
  }
  return { count, least };
}

/** Kills a worker in a moment in which it has enough in hand; says how much, or undefined when the storm was over first. */
async function strikeDown(scene: Scene, victim: Actor, signal: AbortSignal): Promise<number | undefined> {
  while (!signal.aborted) {
    victim.child.kill("SIGSTOP");
    const hand = inHand(scene.folder, victim.name);
    if (hand >= IN_HAND) {
      await victim.kill();
      return hand;
    }
    victim.child.kill("SIGCONT");
    await sleep(LOOK);
  }
  return undefined;
}

interface Story {
  readonly strikes: readonly Strike[];
  readonly history: readonly HistoryLine[];
  readonly gone: readonly number[];
  readonly hands: readonly number[];
  readonly kills: Kills;
  readonly refused: readonly (string | undefined)[];
}

/** The reader of a report wants to know what happened. */
function tell({ strikes, history, gone, hands, kills, refused }: Story): void {
  for (const [n, { what }] of strikes.entries()) {
    const { first, last } = recovery(history, gone[n] ?? 0);
    const waits = `answered again after ${Math.round(first)} ms, all processes after ${Math.round(last)} ms`;
    console.log(`${what} with ${hands[n]} jobs in hand: ${waits}`);
  }
  const codes = new Map<string, number>();
  for (const code of refused) codes.set(code ?? "?", (codes.get(code ?? "?") ?? 0) + 1);
  const list = [...codes].map(([code, count]) => `${count} ${code}`).join(", ");
  console.log(`${kills.count} workers killed with at least ${kills.least} jobs in hand each`);
  const stale = history.filter(({ op }) => op === "left").length;
  console.log(`entries of jobs that are done, still listed by the broker: ${stale}`);
  console.log(`dispatches repeated: ${list === "" ? "none" : list}`);
}

/** Prints how many jobs of a storm ran again. */
export function printStorm(what: string, { runs, kills }: Aftermath): void {
  printRepeated(`${what}, ${kills} workers killed`, runs);
}
