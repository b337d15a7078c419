/**
 * Where a server of the benchmark is.
 *
 * @module
 */

/** What can be started. */
export type Kind = "redis" | "nats";

/** Where a server listens. */
export interface Address {
  readonly kind: Kind;
  readonly host: string;
  readonly port: number;
  /** Its process. */
  readonly pid: number;
  /** Of NATS: the port of its HTTP monitoring. */
  readonly monitor?: number;
}
