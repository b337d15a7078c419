/**
 * Where a server of the benchmark is.
 *
 * @module
 */

/** The servers that can be started. */
export type Kind = "redis" | "valkey" | "nats";

/** Where a server listens. */
export interface Address {
  /** The protocol that it speaks. */
  readonly kind: "redis" | "nats";
  readonly host: string;
  readonly port: number;
  /** Its process. */
  readonly pid: number;
  /** Of NATS: the port of its HTTP monitoring. */
  readonly monitor?: number;
}
