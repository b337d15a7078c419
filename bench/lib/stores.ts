/**
 * The stores that Relevo is measured on: what is planned for each, against which contenders, and on which server.
 *
 * @module
 */

import type { Kind } from "../servers/address.ts";
import type { Choice, Stage } from "./plan.ts";
import { planOfLocal } from "./plan_local.ts";
import { planOfNats, planOfRedis, planOfValkey } from "./plan_servers.ts";

/** One part of the benchmark, with results of its own. */
export interface Store {
  /** The server that each of its measurements is given. */
  readonly server?: Kind;
  /** The packages beside Relevo whose versions matter. */
  readonly packages: readonly string[];
  readonly planOf: (choice: Choice) => readonly Stage[];
  /** The part of a run's time that it may take. */
  readonly share: number;
}

/** By the name that `--store` takes. */
export const stores: Readonly<Record<string, Store>> = {
  local: {
    packages: ["fastq", "p-queue", "plainjob", "better-sqlite3"],
    planOf: planOfLocal,
    share: 0.35,
  },
  redis: {
    server: "redis",
    packages: ["redis", "bullmq", "bee-queue", "groupmq", "ioredis"],
    planOf: planOfRedis,
    share: 0.4,
  },
  valkey: {
    server: "valkey",
    packages: ["redis", "bullmq", "ioredis"],
    planOf: planOfValkey,
    share: 0.05,
  },
  nats: {
    server: "nats",
    packages: ["@nats-io/transport-node", "@nats-io/jetstream"],
    planOf: planOfNats,
    share: 0.2,
  },
};
