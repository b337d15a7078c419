/** Jobs whose runs take a minute, and what becomes of them. */
import type { Relay } from "../../../mod.ts";
import type { Runtime } from "../../../src/runtime.ts";
import { type free, heard } from "../../web/support/kit.ts";

/** How many runs began and were completed, and how many were told as lost or stale. */
export interface Told {
  readonly runs: number;
  readonly completed: number;
  readonly lost: number;
}

/** Handles the jobs called `task`; answers what was told of them so far. */
export function handleForMinutes(
  relay: Relay<
    { readonly task: { readonly schema: ReturnType<typeof free<number>>; readonly queue: string } }
  >,
  runtime: Pick<Runtime, "sleep">,
): () => Told {
  const losses = (["lost", "stale"] as const).map((type) => heard(relay.events, type));
  const done = heard(relay.events, "completed");
  let runs = 0;
  relay.handle("task", async () => {
    runs++;
    await runtime.sleep(60_000);
  });
  return () => ({ runs, completed: done.length, lost: losses.flat().length });
}
