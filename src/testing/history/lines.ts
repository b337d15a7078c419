/**
 * A history: one line per event, as a ledger file holds them, one JSON text each.
 *
 * @module
 */

import type { Channel, DeadChannel } from "../../jobs/job.ts";

/** The fields of every line. */
export interface LineBase {
  /** When it was over, in milliseconds by a clock that all writers share. */
  readonly at: number;
  /** When it began, where that matters: a call takes effect between `from` and `at`. Default: `at`. */
  readonly from?: number;
  /** The process that wrote it. */
  readonly process?: string;
  /** `unknown`: the effect may have happened, or may happen later. Default `ok`. */
  readonly outcome?: "ok" | "fail" | "unknown";
}

/** The fields that name a job. */
export interface JobLine extends LineBase {
  /** The queue. */
  readonly queue: string;
  /** The job's id. */
  readonly id: string;
}

/** A job was handed in. */
export interface DispatchLine extends JobLine {
  /** The event. */
  readonly op: "dispatch";
  /** Default `stored`. */
  readonly status?: "stored" | "duplicate";
  /** Stands for payload and headers: equal when they are. */
  readonly digest?: string;
  /** The instant before which it must not run. */
  readonly due?: number;
  /** Runs in all; not checked where it is absent. */
  readonly maxAttempts?: number;
  /** Present when the caller chose the id. */
  readonly idWindow?: number;
  /** Jobs of one such key begin in the order of their dispatch. */
  readonly order?: string;
  /** The schedule's key. */
  readonly schedule?: string;
  /** Its instant or number. */
  readonly tick?: number;
}

/** A handler began. */
export interface StartLine extends JobLine {
  /** The event. */
  readonly op: "start";
  /** The delivery's. */
  readonly token: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** When the lease ends, unless extended. */
  readonly until: number;
  /** Stands for payload and headers, as in the dispatch. */
  readonly digest?: string;
}

/** A lease was to be moved. */
export interface ExtendLine extends JobLine {
  /** The event. */
  readonly op: "extend";
  /** The delivery's. */
  readonly token: string;
  /** The transport's answer. */
  readonly state: "held" | "stale";
  /** When the lease ends then. */
  readonly until: number;
}

/** A handler came to its end. */
export interface EndLine extends JobLine {
  /** The event. */
  readonly op: "end";
  /** The delivery's. */
  readonly token: string;
  /** It threw, so that its delivery must not be settled as done. Default false. */
  readonly failed?: boolean;
}

/** A delivery was to be ended. */
export interface SettleLine extends JobLine {
  /** The event. */
  readonly op: "settle";
  /** The delivery's. */
  readonly token: string;
  /** Where it went. */
  readonly to: "done" | "again" | "release" | DeadChannel;
  /** The transport's answer. */
  readonly state: "settled" | "stale";
  /** `again`: when it is due. */
  readonly due?: number;
  /** `again`: the new payload's digest. */
  readonly digest?: string;
  /** `again`: `new` begins a cycle at attempt 1, `same` does not count the run. Default: the run counts. */
  readonly cycle?: "new" | "same";
  /** Why it is dead. */
  readonly reason?: string;
}

/** An operator returned a dead job to work, or removed one. */
export interface OperateLine extends JobLine {
  /** The event. */
  readonly op: "reload" | "remove";
  /** `reload`: a full life. */
  readonly reset?: boolean;
}

/** A job that was in the store at the end, when nothing ran any more. */
export interface LeftLine extends JobLine {
  /** The event. */
  readonly op: "left";
  /** Where it was found. */
  readonly channel: Channel;
  /** Dead channels. */
  readonly reason?: string;
}

/** The counts of `info`, and those of the listings of the same moment. */
export interface InfoLine extends LineBase {
  /** The event. */
  readonly op: "info";
  /** The queue. */
  readonly queue: string;
  /** The counts of `info`. */
  readonly counts: Readonly<Record<string, number>>;
  /** The counts of the listings. */
  readonly listed: Readonly<Record<string, number>>;
}

/** Counts of all queues around an operator's call, while nothing else happened. */
export interface AroundLine extends LineBase {
  /** The event. */
  readonly op: "around";
  /** The queue. */
  readonly queue: string;
  /** The channel that the call named. */
  readonly channel: Channel;
  /** Counts by queue and channel before the call. */
  readonly before: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** And after it. */
  readonly after: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A tick was due while a scheduler was up. */
export interface TickLine extends LineBase {
  /** The event. */
  readonly op: "tick";
  /** The schedule's key. */
  readonly schedule: string;
  /** Its instant or number. */
  readonly tick: number;
}

/** A worker began to run. */
export interface RunLine extends LineBase {
  /** The event. */
  readonly op: "run";
  /** The process. */
  readonly process: string;
  /** How many handlers it may run at once. */
  readonly concurrency: number;
}

/** A worker stopped. */
export interface StopLine extends LineBase {
  /** The event. */
  readonly op: "stop";
  /** The process. */
  readonly process: string;
  /** Timers, sockets, leases and calls of it that were still alive. */
  readonly alive: number;
}

/** A worker's metrics at its end. */
export interface MetricLine extends LineBase {
  /** The event. */
  readonly op: "metric";
  /** The process. */
  readonly process: string;
  /** Which settlements it counted. */
  readonly to: SettleLine["to"];
  /** How many. */
  readonly count: number;
}

/** How full a buffer was. */
export interface BufferLine extends LineBase {
  /** The event. */
  readonly op: "buffer";
  /** The buffer's name. */
  readonly name: string;
  /** How much it held. */
  readonly size: number;
  /** How much it may hold. */
  readonly limit: number;
}

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
  | RunLine
  | StopLine
  | MetricLine
  | BufferLine;

/** A promise that a history breaks. */
export interface Violation {
  /** `S1` to `S19`. */
  readonly invariant: string;
  /** When. */
  readonly at: number;
  /** The fault. */
  readonly message: string;
}

/** Where rules put their findings. */
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
