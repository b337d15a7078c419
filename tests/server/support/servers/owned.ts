/** Servers that belong to a test file: started when the first test asks, gone when the last one has ended. */
import { afterAll, beforeAll, describe } from "vitest";
import { type ServerName, serverOf } from "../../../../scripts/lib/servers.mjs";

/** What a file may own: a server, or several that belong together. */
export interface Owned extends AsyncDisposable {
  keep(): void;
  /** Where its logs are. */
  readonly folders: readonly string[];
}

/** What vitest knows of a suite or a test when all have ended. */
interface Task {
  readonly result?: { readonly state: string } | undefined;
  readonly tasks?: readonly Task[];
}

/** Longer than it takes to kill any server. */
const PATIENCE = 60_000;

/**
 * Starts something once, for all tests of the file (or of the `describe` in which this is called). When one of them
 * failed the logs stay, and their place is said.
 */
export function owned<T extends Owned>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  // vitest reads from the pattern which fixtures a hook wants: none.
  afterAll(async ({}: object, suite: Task) => {
    const server = await started?.catch(() => undefined);
    if (server === undefined) return;
    if (failed(suite)) {
      server.keep();
      console.error(`Logs of the servers that the failed tests ran on: ${server.folders.join(", ")}`);
    }
    await server[Symbol.asyncDispose]();
  }, PATIENCE);
  return () => started ??= start();
}

/** The same, started before the first test, for whoever cannot wait for it. */
export function ownedFirst<T extends Owned>(start: () => Promise<T>): () => T {
  const get = owned(start);
  let started: T | undefined;
  beforeAll(async () => void (started = await get()), PATIENCE);
  return () => {
    if (started === undefined) throw new Error("Cannot use the servers as no test has begun");
    return started;
  };
}

/** Tests that need servers: skipped, and counted as skipped, where one of them cannot be had. */
export function describeOn(
  servers: readonly ServerName[],
  title: string,
  write: () => void | Promise<void>,
): void {
  const missing = servers.filter((name) => serverOf(name) === undefined);
  const reason = missing.length === 0
    ? ""
    : ` (skipped as there is no ${missing.join(", ")}: npm run servers)`;
  describe.skipIf(missing.length > 0)(`${title}${reason}`, write);
}

function failed(task: Task): boolean {
  return task.result?.state === "fail" || (task.tasks ?? []).some(failed);
}
