/**
 * The other process of the latency workload: a worker at each place, which tells when a handler is entered.
 *
 * @module
 */

import process from "node:process";
import type { Subject } from "./contenders/contender.ts";
import { contenders } from "./contenders/mod.ts";

const { name, places } = JSON.parse(process.argv[2] ?? "{}");
const subjects: Subject[] = [];
const stops: (() => Promise<void>)[] = [];
for (const place of places) {
  const subject = await contenders[name]?.open(place);
  if (subject?.listen === undefined) throw new Error(`'${name}' cannot listen`);
  stops.push(await subject.listen(() => process.send?.(String(process.hrtime.bigint()))));
  subjects.push(subject);
}
process.send?.("ready");
process.once("disconnect", async () => {
  for (const stop of stops) await stop();
  for (const subject of subjects) await subject.close();
});
