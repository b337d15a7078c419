/**
 * The stores that Relevo is measured on: what is planned for each, against whom, and on which server.
 *
 * @module
 */

import type { Kind } from "../servers/address.ts";
import type { Choice, Stage } from "./plan.ts";
import { planOfLocal } from "./plan_local.ts";
import { planOfNats, planOfRedis } from "./plan_servers.ts";

/** One part of the benchmark, with results of its own. */
export interface Store {
  /** The server that each of its measurements is given. */
  readonly server?: Kind;
  /** The packages beside Relevo whose versions matter. */
  readonly packages: readonly string[];
  readonly planOf: (choice: Choice) => readonly Stage[];
}

/** By the name that `--store` takes. */
export const stores: Readonly<Record<string, Store>> = {
  local: {
    packages: ["fastq", "p-queue", "plainjob", "better-sqlite3"],
    planOf: planOfLocal,
  },
  redis: {
    server: "redis",
    packages: ["redis", "bullmq", "bee-queue", "groupmq", "ioredis"],
    planOf: planOfRedis,
  },
  nats: {
    server: "nats",
    packages: ["@nats-io/transport-node", "@nats-io/jetstream"],
    planOf: planOfNats,
  },
};
