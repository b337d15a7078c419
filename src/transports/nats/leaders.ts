/**
 * Leaders that are missing. Where several servers keep a stream, one leads it, and one each of its consumers; when that
 * one dies the others need seconds to choose another. Until then nobody answers, or JetStream says that it cannot: the
 * message was surely not taken, and whoever sent it waits. All who wait for one leader share the looks for it.
 *
 * @module
 */

import { TransportClosed } from "../../errors.ts";
import { type Alarm, type Alarms, createAlarms } from "../../alarms.ts";
import { hush } from "../../promises.ts";
import { isOff, isPlaceGone, NoResponders, typed, unavailable } from "./errors.ts";
import type { Settings } from "./options.ts";

/** Waits for leaders. */
export interface Leaders {
  /** Whether somebody waits for this one: what is sent to it now would be for nothing. */
  missing(leader: string): boolean;
  /**
   * Resolves when a leader answers, named by what the API calls its state: `STREAM.INFO.<stream>` or
   * `CONSUMER.INFO.<stream>.<consumer>`. Rejects when there is nothing to be led, or `until` is over; at once where
   * there is one server.
   */
  elected(leader: string, until: number): Promise<void>;
  /** Lets about so many milliseconds pass; rejects when the link is closed. */
  rest(ms: number): Promise<void>;
  close(): void;
}

/** What looks whether a leader answers. */
export interface Scout {
  /** Whether there are several servers. */
  readonly clustered: () => boolean;
  readonly look: (leader: string, until: number) => Promise<unknown>;
}

/** Milliseconds between two looks at first and at most, half of which are left to chance. */
export const PAUSE_MIN = 50;
const PAUSE_MAX = 1_000;
/** Milliseconds for which a look is waited for. */
const LOOK = 1_000;
/** Milliseconds after which a leader that goes missing is looked for as often as at first. */
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

/** The pause that comes after a pause. */
export function pauseAfter(pause: number): number {
  return Math.min(PAUSE_MAX, 2 * pause);
}

/** Who takes what is stored in a stream. */
export function streamLeader(stream: string): string {
  return `STREAM.INFO.${stream}`;
}

/** Who hands out what is in a line, and hears what became of it. */
export function consumerLeader(stream: string, consumer: string): string {
  return `CONSUMER.INFO.${stream}.${consumer}`;
}

function streamOf(leader: string): string {
  return leader.split(".")[2] ?? "";
}

/** Makes those who wait; nobody does yet. */
export function createLeaders({ runtime, name }: Settings, { clustered, look }: Scout): Leaders {
  const alarms: Alarms = createAlarms(runtime);
  const vacancies = new Map<string, Vacancy>();
  const resting = new Set<(error: Error) => void>();
  let closed = false;

  function vacancyOf(leader: string): Vacancy {
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

  function scout(leader: string, vacancy: Vacancy): void {
    if (vacancy.looking) return;
    vacancy.looking = true;
    const { pause } = vacancy;
    vacancy.pause = pauseAfter(pause);
    hush(leaders.rest(pause).then(() => seek(leader, vacancy)));
  }

  async function seek(leader: string, vacancy: Vacancy): Promise<void> {
    let end: { readonly error?: unknown } | undefined = {};
    try {
      if (vacancy.waiting.size > 0) await look(leader, runtime.monotonic() + LOOK);
    } catch (error) {
      // Where nobody answers at all a server may just have begun, or JetStream is off: that is told when time is over.
      const sure = !(error instanceof NoResponders) && (isPlaceGone(error) || isOff(error));
      end = sure ? { error: typed(error, `use stream '${streamOf(leader)}'`) } : undefined;
    }
    vacancy.looking = false;
    vacancy.at = runtime.monotonic();
    if (end === undefined) return scout(leader, vacancy);
    for (const told of [...vacancy.waiting]) told(end.error);
  }

  const leaders: Leaders = {
    missing: (leader) => (vacancies.get(leader)?.waiting.size ?? 0) > 0,
    elected(leader, until) {
      const what = `use stream '${streamOf(leader)}'`;
      if (closed) return Promise.reject(new TransportClosed(name));
      if (!clustered()) return Promise.reject(new NoResponders(what));
      return new Promise((resolve, reject) => {
        const vacancy = vacancyOf(leader);
        const told = (error?: unknown): void => {
          if (!vacancy.waiting.delete(told)) return;
          alarm.cancel();
          if (error === undefined) resolve();
          else reject(error);
        };
        const rest = Math.min(PATIENCE, until - runtime.monotonic());
        const alarm: Alarm = alarms.set(
          Math.max(0, rest),
          () => told(unavailable(`Cannot ${what} as none of its servers leads it`)),
        );
        vacancy.waiting.add(told);
        scout(leader, vacancy);
      });
    },
    rest(ms) {
      if (closed) return Promise.reject(new TransportClosed(name));
      return new Promise((resolve, reject) => {
        resting.add(reject);
        alarms.set(ms * (0.5 + runtime.random() / 2), () => {
          resting.delete(reject);
          resolve();
        });
      });
    },
    close() {
      closed = true;
      alarms.clear();
      for (const reject of resting) reject(new TransportClosed(name));
      resting.clear();
      for (const { waiting } of vacancies.values()) {
        for (const told of [...waiting]) told(new TransportClosed(name));
      }
    },
  };
  return leaders;
}
