import { readdirSync } from "node:fs";

/**
 * Every promise, as tests on the stage that `examineOn` was told last. The files are loaded anew for each transport, by
 * its name behind theirs: one that was loaded before registers no test.
 */
export async function everyPromise(transport: string): Promise<void> {
  const names = readdirSync(new URL("../../web/promises/", import.meta.url)).sort();
  for (const name of names) {
    const file = `../../web/promises/${name}?${transport}`;
    await import(file);
  }
}
