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
import { flow } from "./workloads/flow.ts";
import { latency, processes } from "./workloads/latency.ts";
import { fsync, idle, memory } from "./workloads/rest.ts";
import { backlog, scale } from "./workloads/scale.ts";
import type { Workload } from "./workloads/workload.ts";

const workloads: Readonly<Record<Task["workload"], Workload>> = {
  flow,
  latency,
  processes,
  scale,
  backlog,
  memory,
  idle,
  fsync,
};

const { task, root }: { task: Task; root: string } = JSON.parse(process.argv[2] ?? "{}");
const figures = await workloads[task.workload]({
  contender: contenders[task.contender] ?? { open: () => Promise.reject(new Error("no contender")) },
  durability: task.durability,
  count(name) {
    const count = task.counts[name];
    if (count === undefined) throw new RangeError(`The plan gives no count '${name}'`);
    return count;
  },
  folder: () => mkdtempSync(join(root, "store-")),
});
process.stdout.write(JSON.stringify(figures));
rmSync(root, { recursive: true, force: true });
// A peer may leave timers behind.
process.exit(0);
