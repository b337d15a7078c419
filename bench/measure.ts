/**
 * One measurement in a process of its own, so that no contender runs in code that another one warmed up or spoilt:
 * takes a task as JSON, answers with figures as JSON.
 *
 * @module
 */

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { contenders } from "./contenders/mod.ts";
import type { Task } from "./lib/plan.ts";
import type { Address } from "./servers/address.ts";
import { codecs } from "./workloads/codecs.ts";
import { flow } from "./workloads/flow.ts";
import { latency, processes } from "./workloads/latency.ts";
import { middleware } from "./workloads/middleware.ts";
import { observed } from "./workloads/observed.ts";
import { payload } from "./workloads/payload.ts";
import { queues } from "./workloads/queues.ts";
import { beside, ticks } from "./workloads/recurring.ts";
import { fsync, idle, memory, weight } from "./workloads/rest.ts";
import { backlog, handlers } from "./workloads/scale.ts";
import { delayed, workers } from "./workloads/shared.ts";
import type { Workload } from "./workloads/workload.ts";

const workloads: Readonly<Record<Task["workload"], Workload>> = {
  flow,
  latency,
  processes,
  scale: handlers,
  workers,
  backlog,
  delayed,
  memory,
  weight,
  idle,
  ticks,
  beside,
  codecs,
  middleware,
  observed,
  payload,
  queues,
  far: flow,
  "far latency": latency,
  fsync,
};

const { task, root, address }: { task: Task; root: string; address?: Address } = JSON.parse(
  process.argv[2] ?? "{}",
);
const figures = await workloads[task.workload]({
  contender: contenders[task.contender] ?? { open: () => Promise.reject(new Error("no contender")) },
  name: task.contender,
  count(name) {
    const count = task.counts[name];
    if (count === undefined) throw new RangeError(`The plan gives no count '${name}'`);
    return count;
  },
  place: () => ({ folder: mkdtempSync(join(root, "store-")), durability: task.durability, address }),
});
process.stdout.write(JSON.stringify(figures));
rmSync(root, { recursive: true, force: true });
// A peer may leave timers behind.
process.exit(0);
