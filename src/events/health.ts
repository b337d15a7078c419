/**
 * Whether a relay's workers do their work, as they know it themselves: a probe asks for it every few seconds.
 *
 * @module
 */

import type { Runtime } from "../runtime.ts";

/** The state of a relay's workers, as they know it themselves. */
export interface Health {
  /**
   * `starting`: a worker has not reached the store yet; `up`: all reach it; `down`: one does not, and goes on trying;
   * `stopped`: none runs; `closed`: the relay was told to close.
   */
  readonly state: "starting" | "up" | "down" | "stopped" | "closed";
  /** When that began, in milliseconds since the epoch. */
  readonly since: number;
  /**
   * Milliseconds that jobs may have waited for these workers: how long the job that was taken last had been due, and
   * how long it is since then that no job was asked for, as all slots were taken or the store was away. Of several
   * workers that of the latest.
   */
  readonly lag: number;
}

/** The state of one worker, as it tells it itself. */
export interface Vital {
  /** The store has answered it. */
  readonly known: boolean;
  /** It asks for jobs, or does so no more. */
  looking(begins: boolean): void;
  /** The store answered, at this time of the monotonic clock; `due`: when the first of the jobs could run, if there was one. */
  heard(due: number | undefined, at: number): void;
  /** It reaches the store, or does not. */
  away(isAway: boolean): void;
  /** It has stopped. */
  leave(): void;
}

/** Keeps the states that the workers of a relay tell. */
export interface Vitals {
  join(): Vital;
  /** The relay closes. */
  close(): void;
  health(): Health;
}

interface Member {
  heard: boolean;
  away: boolean;
  looks: number;
  wait: number;
  /** When the store answered last, by the monotonic clock. */
  at: number;
}

/** Makes one without workers. */
export function createVitals({ now, monotonic }: Pick<Runtime, "now" | "monotonic">): Vitals {
  const members = new Set<Member>();
  let closed = false;
  let state: Health["state"] = "stopped";
  let since = now();

  function turn(): void {
    const next = stateOf(members, closed);
    if (next === state) return;
    state = next;
    since = now();
  }

  return {
    join() {
      const member: Member = { heard: false, away: false, looks: 0, wait: 0, at: monotonic() };
      members.add(member);
      turn();
      return {
        get known() {
          return member.heard;
        },
        looking: (begins) => void (member.looks += begins ? 1 : -1),
        heard(due, at) {
          member.wait = due === undefined ? 0 : Math.max(0, now() - due);
          member.at = at;
          if (member.heard) return;
          member.heard = true;
          turn();
        },
        away(isAway) {
          member.away = isAway;
          turn();
        },
        leave() {
          members.delete(member);
          turn();
        },
      };
    },
    close() {
      closed = true;
      turn();
    },
    health: () => ({
      state,
      since,
      lag: Math.max(0, ...[...members].map((member) => lagOf(member, monotonic()))),
    }),
  };
}

function stateOf(members: ReadonlySet<Member>, closed: boolean): Health["state"] {
  if (closed) return "closed";
  const all = [...members];
  if (all.length === 0) return "stopped";
  if (all.some(({ away }) => away)) return "down";
  return all.every(({ heard }) => heard) ? "up" : "starting";
}

function lagOf({ heard, away, looks, wait, at }: Member, now: number): number {
  return heard && !away && looks > 0 ? wait : wait + now - at;
}
