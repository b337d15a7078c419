/**
 * Waits that matter less than their end.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";

/** Waits for something, whatever it comes to, and for so many milliseconds at most. */
export async function briefly(
  runtime: Pick<Runtime, "sleep">,
  ms: number,
  work: Promise<unknown>,
): Promise<void> {
  const ending = new AbortController();
  const over = runtime.sleep(ms, ending.signal).catch(() => undefined);
  await Promise.race([work.catch(() => undefined), over]);
  ending.abort();
}
