/**
 * Elections that are missing. Where several servers keep a stream, one leads it, and one each of its consumers; when
 * that one dies the others need seconds to choose another. Until then no server answers, or JetStream says that it
 * cannot: the message was surely not accepted, and the call that sent it waits. All calls that wait for one leader
 * share the requests that ask for it.
 *
 * @module
 */

import { TransportClosed } from "../../../errors.ts";
import { type Alarm, type Alarms, createAlarms } from "../../../flow/alarms.ts";
import { hush } from "../../../promises.ts";
import { isOff, isStreamGone, NoResponders, typed, unavailable } from "./errors.ts";
import { type Elections, PAUSE_MIN, pauseAfter, type Settings } from "./link.ts";

/** Asks whether a leader answers. */
export interface Scout {
  /** Whether there are several servers. */
  readonly clustered: () => boolean;
  readonly look: (leader: string, until: number) => Promise<unknown>;
}

/** Milliseconds for which an answer is waited for. */
const LOOK = 1_000;
/** Milliseconds after which a leader that goes missing is asked for as often as at first. */
const FORGIVEN = 5_000;
/** Milliseconds for which a leader is waited for at most: an election takes up to ten seconds, and a few may fail. */
const PATIENCE = 30_000;

/** A leader that is missing, or was a moment ago. */
interface Vacancy {
  readonly waiting: Set<(error?: unknown) => void>;
  pause: number;
  /** When it was last waited for, on the monotonic clock. */
  at: number;
  looking: boolean;
}

function streamOf(leader: string): string {
  return leader.split(".")[2] ?? "";
}

/** The parts that elections share. */
interface Store {
  readonly settings: Settings;
  readonly scout: Scout;
  readonly alarms: Alarms;
  readonly vacancies: Map<string, Vacancy>;
  readonly resting: Set<(error: Error) => void>;
  closed: boolean;
}

/** Makes elections; no call waits for one yet. */
export function createElections(settings: Settings, scout: Scout): Elections {
  const alarms: Alarms = createAlarms(settings.runtime);
  const store: Store = { settings, scout, alarms, vacancies: new Map(), resting: new Set(), closed: false };
  return {
    missing: (leader) => (store.vacancies.get(leader)?.waiting.size ?? 0) > 0,
    elected: (leader, until) => elected(store, leader, until),
    rest: (ms) => rest(store, ms),
    close: () => close(store),
  };
}

function elected(store: Store, leader: string, until: number): Promise<void> {
  const { settings: { name, runtime }, scout, alarms } = store;
  const what = `use stream '${streamOf(leader)}'`;
  if (store.closed) return Promise.reject(new TransportClosed(name));
  if (!scout.clustered()) return Promise.reject(new NoResponders(what));
  return new Promise((resolve, reject) => {
    const vacancy = vacancyOf(store, leader);
    const told = (error?: unknown): void => {
      if (!vacancy.waiting.delete(told)) return;
      alarm.cancel();
      if (error === undefined) resolve();
      else reject(error);
    };
    const left = Math.min(PATIENCE, until - runtime.monotonic());
    const alarm: Alarm = alarms.set(
      Math.max(0, left),
      () => told(unavailable(`Cannot ${what} as none of its servers leads it`)),
    );
    vacancy.waiting.add(told);
    look(store, leader, vacancy);
  });
}

function vacancyOf({ vacancies, settings: { runtime } }: Store, leader: string): Vacancy {
  const now = runtime.monotonic();
  for (const [key, { at, waiting }] of vacancies) {
    if (waiting.size === 0 && now > at + FORGIVEN) vacancies.delete(key);
  }
  const known = vacancies.get(leader);
  if (known !== undefined) return known;
  const made: Vacancy = { waiting: new Set(), pause: PAUSE_MIN, at: now, looking: false };
  vacancies.set(leader, made);
  return made;
}

function look(store: Store, leader: string, vacancy: Vacancy): void {
  if (vacancy.looking) return;
  vacancy.looking = true;
  const { pause } = vacancy;
  vacancy.pause = pauseAfter(pause);
  hush(rest(store, pause).then(() => seek(store, leader, vacancy)));
}

async function seek(store: Store, leader: string, vacancy: Vacancy): Promise<void> {
  const { scout, settings: { runtime } } = store;
  let end: { readonly error?: unknown } | undefined = {};
  try {
    if (vacancy.waiting.size > 0) await scout.look(leader, runtime.monotonic() + LOOK);
  } catch (error) {
    // Where no server answers at all one may just have begun, or JetStream is off: that is told when time is over.
    const sure = !(error instanceof NoResponders) && (isStreamGone(error) || isOff(error));
    end = sure ? { error: typed(error, `use stream '${streamOf(leader)}'`) } : undefined;
  }
  vacancy.looking = false;
  vacancy.at = runtime.monotonic();
  if (end === undefined) return look(store, leader, vacancy);
  for (const told of [...vacancy.waiting]) told(end.error);
}

function rest({ closed, settings: { name, runtime }, resting, alarms }: Store, ms: number): Promise<void> {
  if (closed) return Promise.reject(new TransportClosed(name));
  return new Promise((resolve, reject) => {
    resting.add(reject);
    alarms.set(ms * (0.5 + runtime.random() / 2), () => {
      resting.delete(reject);
      resolve();
    });
  });
}

function close(store: Store): void {
  const { settings: { name }, alarms, resting, vacancies } = store;
  store.closed = true;
  alarms.clear();
  for (const reject of resting) reject(new TransportClosed(name));
  resting.clear();
  for (const { waiting } of vacancies.values()) {
    for (const told of [...waiting]) told(new TransportClosed(name));
  }
}
