/**
 * The other process of the latency workload: a worker on each folder, which tells when a handler is entered.
 *
 * @module
 */

import process from "node:process";
import type { Subject } from "./contenders/contender.ts";
import { relevoSqlite } from "./contenders/relevo.ts";

const { folders, durability } = JSON.parse(process.argv[2] ?? "{}");
const subjects: Subject[] = [];
for (const folder of folders) {
  const subject = await relevoSqlite.open({ folder, durability });
  await subject.listen?.(() => process.send?.(String(process.hrtime.bigint())));
  subjects.push(subject);
}
process.send?.("ready");
process.once("disconnect", async () => {
  for (const subject of subjects) await subject.close();
});
