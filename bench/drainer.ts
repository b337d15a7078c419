/**
 * A worker process of the `workers` workload: it handles some jobs to be warm, and all others once it is told to go.
 *
 * @module
 */

import { once } from "node:events";
import process from "node:process";
import { contenders } from "./contenders/mod.ts";

const { name, options, warm, concurrency } = JSON.parse(process.argv[2] ?? "{}");
const subject = await contenders[name]?.open(options);
if (subject?.listen === undefined) throw new Error(`'${name}' cannot work in a process of its own`);
const warmed = await subject.work(warm, concurrency);
await warmed();
const disconnected = once(process, "disconnect");
const told = once(process, "message");
process.send?.("warm");
await Promise.race([told, disconnected]);
const stop = await subject.listen(() => {}, concurrency);
await disconnected;
await stop();
await subject.close();
process.exit(0);
