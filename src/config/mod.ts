/**
 * Relays by configuration: one for each named entry of an object or of a JSON file, built when it is asked for, and run
 * together with the application (seed 003).
 *
 * @example
 * ```ts
 * import { relays } from "@relevo/relevo/config";
 * import * as v from "valibot";
 *
 * const all = relays({ jobs: { mail: v.object({}) }, config: { queue: { default: { url: "memory:" } } } });
 * const relay = await all.get("default");
 * console.log((await relay.dispatch("mail", {})).status); // stored
 * await all.close();
 * ```
 *
 * @module
 */

import { connect } from "../connect.ts";
import type { Fitting, Jobs } from "../jobs/definitions.ts";
import { errorOf, RelayClosed } from "../errors.ts";
import { hush } from "../promises.ts";
import { checkKnown, checkObject, checkSignal, shown, wrongType } from "../options.ts";
import { createRelay, type Relay } from "../relay/relay.ts";
import { checkStop } from "../relay/relay_workers.ts";
import type { Transport } from "../contract/transport.ts";
import type { RunOptions, StopOptions } from "../worker/worker.ts";
import { createBuilt } from "./built.ts";
import { type Config, type Entry, readConfig } from "./read.ts";
import { withQueue } from "./queue.ts";

export { type Config, ConfigError, type Entry, type EntryInput, GAUGE_INTERVAL } from "./read.ts";

/** The options of {@linkcode relays}. */
export interface RelaysOptions<J extends Jobs> {
  /** The jobs of every relay. One whose definition names no queue goes to the queue of the entry's name. */
  readonly jobs: J;
  /** The configuration, or the path or `file:` URL of a JSON file that holds one. Default: no entry but `default`. */
  readonly config?: Config | string | URL | undefined;
  /** The transport of every relay; wins over all else. It is closed with the last of them. */
  readonly transport?: Transport | undefined;
  /** Makes the transport of an entry, by its name; wins over the entry's `url`. */
  readonly transportFor?: ((name: string) => Transport | Promise<Transport>) | undefined;
}

/** Relays by their names. */
export interface Relays<J extends Jobs> extends AsyncDisposable {
  /** The configured names, sorted; `default` is always one of them. */
  names(): Promise<readonly string[]>;
  /** The settings that the configuration has for a name; rejects as `get` does. */
  settings(name: string): Promise<Entry>;
  /**
   * The relay of a name: built once, also when it is asked for several times at once. `default` is there without an
   * entry.
   *
   * @throws {RelayClosed} when the relays are closed.
   * @throws {Error} `queue configuration <name> not found` for a name without an entry (seed 003).
   * @throws {ConfigError} when the configuration is wrong.
   */
  get(name: string): Promise<Relay<J>>;
  /**
   * Runs a worker of each configured relay, and of each that is asked for meanwhile, by its entry; resolves
   * when the signal aborted, or the relays are closed, and all have stopped. A worker that fails stops the others, and
   * `run` rejects with its error.
   *
   * @throws {TypeError} for a second `run` while one is running.
   * @throws {RelayClosed} when the relays are closed.
   */
  run(options?: RunOptions): Promise<void>;
  /**
   * Closes every relay that was built, each as its own `close` does; one whose transport does not come within a second
   * is given up, and its transport is closed when it comes. No relay is built any more.
   */
  close(options?: StopOptions): Promise<void>;
}

const DEFAULT = "default";

/**
 * Makes the relays of a configuration. Nothing is read and no connection is made before the first is asked for.
 *
 * The transport of an entry is `transport`, else that of `transportFor`, else that of the entry's `url`, else Redis
 * where `REDIS_URL` or `REDIS_ADDR` says, else Redis on 127.0.0.1.
 *
 * @example
 * ```ts
 * import { relays } from "@relevo/relevo/config";
 * import * as v from "valibot";
 *
 * const all = relays({
 *   jobs: { "email.welcome": v.object({ userId: v.number() }) },
 *   config: { queue: { mail: { url: "memory:", concurrency: 3 } } },
 * });
 * const mail = await all.get("mail");
 * await mail.dispatch("email.welcome", { userId: 42 });
 * console.log((await mail.info("mail")).waiting); // 1
 * await all.close();
 * ```
 *
 * @throws {TypeError} for an option that is wrong or unknown.
 */
export function relays<const J extends Jobs>(
  options: RelaysOptions<J> & { readonly jobs: Fitting<J> },
): Relays<J> {
  const action = "make relays";
  checkKnown(action, options, ["jobs", "config", "transport", "transportFor"]);
  const { jobs, transport, transportFor } = options;
  checkObject(action, "'jobs'", jobs);
  checkMaker(action, transportFor);
  let config: Promise<ReadonlyMap<string, Entry>> | undefined;
  let running: Running<J> | undefined;
  const read = (): Promise<ReadonlyMap<string, Entry>> =>
    config ??= readConfig(options.config === undefined ? { queue: {} } : options.config);
  const entryOf = async (name: string): Promise<Entry> => {
    const entry = (await read()).get(name);
    if (entry !== undefined || name === DEFAULT) return entry ?? {};
    throw new Error(`queue configuration ${shown(name)} not found`);
  };
  const open = async (name: string, { url = "redis:" }: Entry): Promise<Transport> =>
    transport ?? await transportFor?.(name) ?? await connect(url);

  async function build(name: string): Promise<Relay<J>> {
    const entry = await entryOf(name);
    const relay = createRelay({ jobs: withQueue(jobs, name), transport: await open(name, entry) });
    // The jobs are those of `jobs`, each with a queue.
    return relay as unknown as Relay<J>;
  }

  const built = createBuilt(build, async (name, relay) => running?.start(relay, await entryOf(name)));
  const close = async (closeOptions: StopOptions = {}): Promise<void> => {
    checkStop(closeOptions);
    const closed = built.close(closeOptions);
    running?.end();
    await closed;
  };
  return {
    names: async () => [...new Set([DEFAULT, ...(await read()).keys()])].toSorted(),
    settings: entryOf,
    get: built.get,
    async run(runOptions = {}) {
      checkKnown("run relays", runOptions, ["signal"]);
      checkSignal("run relays", runOptions.signal);
      if (built.closed) throw new RelayClosed("run relays");
      if (running !== undefined) throw new TypeError("Cannot run relays that are running already");
      const own = running = createRunning(runOptions.signal);
      try {
        const names = new Set([...(await read()).keys(), ...built.names()]);
        for (const name of names) {
          built.get(name).then(async (relay) => own.start(relay, await entryOf(name))).catch(own.fail);
        }
        await own.ended;
      } finally {
        own.stop(new Error("relays stop"));
        await own.settled();
        running = undefined;
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checkMaker(action: string, transportFor: unknown): void {
  if (transportFor === undefined || typeof transportFor === "function") return;
  throw wrongType(action, "'transportFor'", "a function of a name", transportFor);
}

/** The workers of one `run`. */
interface Running<J extends Jobs> {
  /** Starts a relay's worker, once. */
  start(relay: Relay<J>, entry: Entry): void;
  /** Ends the run with an error, unless it ends already. */
  fail(error: unknown): void;
  /** Ends the run with its workers, which are ended by their relays. */
  end(): void;
  /** Resolves when the signal aborted and all have stopped; rejects with the error of the first that fails. */
  readonly ended: Promise<void>;
  stop(reason: unknown): void;
  /** Resolves when every worker has ended. */
  settled(): Promise<void>;
}

function createRunning<J extends Jobs>(signal: AbortSignal | undefined): Running<J> {
  const started = new Map<Relay<J>, Promise<void>>();
  const controller = new AbortController();
  let ending = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A worker may fail before the run waits for its end.
  hush(promise);
  const fail = (error: unknown): void => {
    if (!ending) reject(errorOf(error));
  };
  const end = (): void => {
    ending = true;
    Promise.all(started.values()).then(() => resolve(), (error) => reject(errorOf(error)));
  };
  const abort = (): void => {
    controller.abort(signal?.reason);
    end();
  };
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return {
    ended: promise,
    fail,
    end,
    start(relay, { concurrency, poll, backoff, maxRetry }) {
      if (started.has(relay) || ending || controller.signal.aborted) return;
      const run = relay.run({ signal: controller.signal, concurrency, poll, backoff, maxRetry });
      started.set(relay, run);
      run.catch(fail);
    },
    stop(reason) {
      signal?.removeEventListener("abort", abort);
      controller.abort(reason);
    },
    settled: async () => void await Promise.allSettled(started.values()),
  };
}
