/**
 * What the benchmark compares: each contender keeps jobs in its own way, and is asked the same things.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import type { Address } from "../servers/address.ts";

/** About 100 bytes of JSON. */
export interface Payload {
  readonly userId: number;
  readonly email: string;
  readonly text: string;
}

/** What a stored job survives, for those that store it: a loss of power at any moment, or most of them. */
export type Durability = "full" | "normal";

/** Where and how a contender keeps its jobs. */
export interface OpenOptions {
  /** An empty folder of its own. */
  readonly folder: string;
  readonly durability: Durability;
  /** The server, for those that need one. */
  readonly address: Address | undefined;
}

/** Stops a worker; what it took and did not begin is given back. */
export type Stop = () => Promise<void>;

/** A contender at work. */
export interface Subject {
  /** Takes one job; a promise resolves when it is stored. */
  one(payload: Payload): unknown;
  /** Takes many jobs in one call. */
  many(payloads: readonly Payload[]): unknown;
  /** Takes one job that is due at this wall time. Absent: it knows no delay. */
  later?(payload: Payload, at: number): unknown;
  /**
   * Handles this many waiting jobs; resolves when all are handled and settled, and as many fewer are waiting. The worker
   * goes on until it is stopped.
   */
  work(total: number, concurrency: number): Promise<Stop>;
  /**
   * Lets a worker wait for jobs, and calls `entered` whenever a handler begins. Absent: its worker cannot wait.
   */
  listen?(entered: () => void, concurrency?: number): Promise<Stop>;
  /** Jobs that are not settled yet. Absent: it cannot say. */
  left?(): Promise<number>;
  close(): Promise<void>;
}

/** Recurring jobs of a contender. */
export interface Recurring {
  /** Stores so many schedules whose first tick is at a wall time, and the next ones a period later each. */
  put(count: number, first: number, period: number): Promise<unknown>;
  /** Lets a worker push ticks, and calls `ticked` with each when it is stored. */
  listen(ticked: (tick: number) => void): Promise<Stop>;
  close(): Promise<void>;
}

/** Opens subjects. */
export interface Contender {
  open(options: OpenOptions): Promise<Subject>;
  /** The URL of the store, as relays connect to it. Absent: it is no store of relays. */
  url?(options: OpenOptions): string;
  /** Opens it with so many queues, over which its jobs are spread by their number. Absent: it has one queue. */
  spread?(options: OpenOptions, queues: number): Promise<Subject>;
  /** Lets a worker wait for jobs of so many queues. */
  idle?(options: OpenOptions, queues: number): Promise<Stop>;
  /** Absent: it knows no schedules. */
  recurring?(options: OpenOptions): Promise<Recurring>;
}

/** Works as the contract above says, with what else the subject can. */
export async function workOff(
  { listen, left }: Required<Pick<Subject, "listen" | "left">>,
  total: number,
  concurrency: number,
): Promise<Stop> {
  const before = await left();
  let handled = 0;
  let enough = (): void => {};
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const stop = await listen(() => {
    if (++handled === total) enough();
  }, concurrency);
  await all;
  while (await left() > Math.max(0, before - total)) await setImmediate();
  return stop;
}

/** Works as the contract above says, where a count of what is left would ask many queues: its worker is stopped. */
export async function workThrough(
  listen: Required<Subject>["listen"],
  total: number,
  concurrency: number,
): Promise<Stop> {
  const { promise: all, resolve: enough } = Promise.withResolvers<void>();
  let handled = 0;
  const stop = await listen(() => {
    if (++handled === total) enough();
  }, concurrency);
  await all;
  await stop();
  return STOPPED;
}

/** For workers that stop by themselves. */
export const STOPPED: Stop = () => Promise.resolve();

/** Bytes of a payload's JSON beside its text. */
const AROUND = 60;

/** A payload that differs from its neighbours, of about so many bytes. */
export function payloadOf(number: number, bytes: number = 100): Payload {
  return { userId: number, email: "someone@example.test", text: "x".repeat(Math.max(0, bytes - AROUND)) };
}
