/**
 * Relevo as users take it: a relay with a schema, a transport by its URL, defaults but for concurrency.
 *
 * @module
 */

import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { createRelay } from "../../mod.ts";
import { connect } from "../../src/connect.ts";
import type { Contender, Subject } from "./contender.ts";

/** The one job of the benchmark. */
const jobs = { "email.welcome": v.object({ userId: v.number(), email: v.string(), text: v.string() }) };

/** On the memory of this process. */
export const relevoMemory: Contender = { open: () => open("memory:") };

/** On a SQLite file. */
export const relevoSqlite: Contender = {
  open: ({ folder, durability }) => open(sqliteUrl(folder, durability)),
};

/** The URL of a database in a folder. */
export function sqliteUrl(folder: string, durability: string): string {
  return `sqlite:${join(folder, "jobs.db")}?durability=${durability}`;
}

async function open(url: string): Promise<Subject> {
  const relay = createRelay({ jobs, transport: await connect(url) });
  let entered = (): void => {};
  // deno-lint-ignore require-await
  relay.handle("email.welcome", async () => entered());
  let idler: Promise<void> | undefined;
  return {
    one: (payload) => relay.dispatch("email.welcome", payload),
    many: (payloads) =>
      relay.dispatchMany(payloads.map((payload) => ({ name: "email.welcome" as const, payload }))),
    async work(total, concurrency) {
      const before = await relay.info("default");
      const worker = relay.worker({ concurrency });
      let handled = 0;
      await new Promise<void>((resolve, reject) => {
        entered = () => {
          if (++handled === total) resolve();
        };
        worker.run().catch(reject);
      });
      if (before.waiting <= total) {
        for (let info = before; info.waiting + info.delayed + info.reserved > 0; await setImmediate()) {
          info = await relay.info("default");
        }
      }
      await worker.stop();
    },
    async listen(listener) {
      entered = listener;
      idler = relay.run();
      await setImmediate();
    },
    async close() {
      await relay.close();
      await idler;
    },
  };
}
