/**
 * Loading what is installed for the benchmark alone.
 *
 * @module
 */

import { createRequire } from "node:module";

const require = createRequire(new URL("../package.json", import.meta.url));

/** Loads a package by a name that the type checkers cannot follow, as it may not be installed when they run. */
export async function load<Module>(name: string): Promise<Module> {
  return await import(require.resolve(name)) as Module;
}
