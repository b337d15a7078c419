/**
 * What the benchmark compares: each contender keeps jobs in its own way, and is asked the same things.
 *
 * @module
 */

/** About 100 bytes of JSON. */
export interface Payload {
  readonly userId: number;
  readonly email: string;
  readonly text: string;
}

/** What a stored job survives, for those that store it. */
export type Durability = "full" | "normal";

/** Where and how a contender keeps its jobs. */
export interface OpenOptions {
  /** An empty folder of its own. */
  readonly folder: string;
  readonly durability: Durability;
}

/** A contender at work. */
export interface Subject {
  /** Takes one job; a promise resolves when it is stored. */
  one(payload: Payload): unknown;
  /** Takes many jobs in one call. */
  many(payloads: readonly Payload[]): unknown;
  /** Handles this many waiting jobs; resolves when all are handled and settled, and as many fewer are waiting. */
  work(total: number, concurrency: number): Promise<void>;
  /** Lets a worker idle, and calls `entered` whenever a handler begins. Absent: its worker cannot wait for jobs. */
  listen?(entered: () => void): Promise<void>;
  close(): Promise<void>;
}

/** Opens subjects. */
export interface Contender {
  open(options: OpenOptions): Promise<Subject>;
}

/** A payload that differs from its neighbours. */
export function payloadOf(number: number): Payload {
  return { userId: number, email: "someone@example.test", text: "x".repeat(40) };
}
