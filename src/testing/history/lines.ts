/**
 * What a history is made of: one line per event, as a ledger file holds them, one JSON text each.
 *
 * @module
 */

import type { Channel, DeadChannel } from "../../job.ts";

/** What every line has. */
export interface LineBase {
  /** When it was over, in milliseconds by a clock that all who write share. */
  readonly at: number;
  /** When it began, where that matters: a call takes effect between `from` and `at`. Default: `at`. */
  readonly from?: number;
  /** Who wrote it. */
  readonly process?: string;
  /** `unknown`: the effect may have happened, or may happen later. Default `ok`. */
  readonly outcome?: "ok" | "fail" | "unknown";
}

/** What names a job. */
export interface JobLine extends LineBase {
  readonly queue: string;
  readonly id: string;
}

/** A job was handed in. */
export interface DispatchLine extends JobLine {
  readonly op: "dispatch";
  /** Default `stored`. */
  readonly status?: "stored" | "duplicate";
  /** Stands for payload and headers: equal when they are. */
  readonly digest?: string;
  /** The instant before which it must not run. */
  readonly due?: number;
  readonly maxAttempts?: number;
  /** Present when the caller chose the id. */
  readonly idWindow?: number;
  /** Jobs of one such key begin in the order of their dispatch. */
  readonly order?: string;
  readonly schedule?: string;
  readonly tick?: number;
}

/** A handler began. */
export interface StartLine extends JobLine {
  readonly op: "start";
  readonly token: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** When the lease ends, unless extended. */
  readonly until: number;
  readonly digest?: string;
}

/** A lease was to be moved. */
export interface ExtendLine extends JobLine {
  readonly op: "extend";
  readonly token: string;
  readonly state: "held" | "stale";
  readonly until: number;
}

/** A handler came to its end. */
export interface EndLine extends JobLine {
  readonly op: "end";
  readonly token: string;
}

/** A delivery was to be ended. */
export interface SettleLine extends JobLine {
  readonly op: "settle";
  readonly token: string;
  readonly to: "done" | "again" | "release" | DeadChannel;
  readonly state: "settled" | "stale";
  /** `again`: when it is due. */
  readonly due?: number;
  /** `again`: the new payload's digest. */
  readonly digest?: string;
  /** `again`: `new` begins a cycle at attempt 1, `same` does not count the run. Default: the run counts. */
  readonly cycle?: "new" | "same";
  readonly reason?: string;
}

/** An operator returned a dead job to work, or removed one. */
export interface OperateLine extends JobLine {
  readonly op: "reload" | "remove";
  /** `reload`: a full life. */
  readonly reset?: boolean;
}

/** What was found in the store at the end, when nothing ran any more. */
export interface LeftLine extends JobLine {
  readonly op: "left";
  readonly channel: Channel;
  /** Dead channels. */
  readonly reason?: string;
}

/** What `info` said, and what the listings of the same moment held. */
export interface InfoLine extends LineBase {
  readonly op: "info";
  readonly queue: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly listed: Readonly<Record<string, number>>;
}

/** Counts of all queues around an operator's call, while nothing else happened. */
export interface AroundLine extends LineBase {
  readonly op: "around";
  readonly queue: string;
  readonly channel: Channel;
  readonly before: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly after: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A tick was due while a scheduler was up. */
export interface TickLine extends LineBase {
  readonly op: "tick";
  readonly schedule: string;
  readonly tick: number;
}

/** A worker began, stopped (and what of it was still alive then), or said what it counted. */
export type WorkerLine =
  | LineBase & { readonly op: "run"; readonly process: string; readonly concurrency: number }
  | LineBase & { readonly op: "stop"; readonly process: string; readonly alive: number }
  | LineBase & {
    readonly op: "metric";
    readonly process: string;
    readonly to: SettleLine["to"];
    readonly count: number;
  }
  | LineBase & {
    readonly op: "buffer";
    readonly name: string;
    readonly size: number;
    readonly limit: number;
  };

/** One event. */
export type HistoryLine =
  | DispatchLine
  | StartLine
  | ExtendLine
  | EndLine
  | SettleLine
  | OperateLine
  | LeftLine
  | InfoLine
  | AroundLine
  | TickLine
  | WorkerLine;

/** A promise that a history breaks. */
export interface Violation {
  /** `S1` to `S19`. */
  readonly invariant: string;
  readonly at: number;
  readonly message: string;
}

/** Where rules put what they find. */
export type Report = (invariant: string, at: number, message: string) => void;

/** Whether the effect certainly happened. */
export function happened(line: LineBase): boolean {
  return (line.outcome ?? "ok") === "ok";
}

/** Whether the effect may have happened. */
export function mayHaveHappened(line: LineBase): boolean {
  return line.outcome !== "fail";
}

/** Whether a settlement certainly ended its delivery. */
export function ended(line: SettleLine): boolean {
  return happened(line) && line.state === "settled";
}

/** When an event began. */
export function began(line: LineBase): number {
  return line.from ?? line.at;
}
