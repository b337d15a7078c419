/**
 * Whether a handler may run twice: a queue can promise at least once, so each handler must bear a second run,
 * and a first one that ended anywhere.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import type { HandledJob, HandlerContext } from "../../jobs/context.ts";
import type { Listener } from "../../jobs/listeners.ts";
import { checkKnown, wrongType } from "../../options.ts";
import { ClaimError, equal, ok } from "../conformance/assert.ts";
import { watch } from "./watch.ts";

/** The options of {@linkcode expectIdempotent}. */
export interface IdempotenceOptions<World extends object, Payload, Seen> {
  /** Makes fresh fakes: a mailer, a database. Method calls on them, in any depth, are watched. */
  readonly world: () => World | Promise<World>;
  /** The handler over such fakes. */
  readonly handler: (world: World) => Listener<Payload>;
  /** The handler's payload, each time. */
  readonly payload: Payload;
  /** The state of the fakes: values that are compared, such as mails sent and rows stored. */
  readonly observe: (world: World) => Seen | Promise<Seen>;
}

/** The runs that were played. */
export interface Idempotence {
  /** The calls that the handler made on the fakes when it ran alone, as `mailer.send`, in their order. */
  readonly calls: readonly string[];
  /** Runs in all. */
  readonly runs: number;
}

/**
 * Claims that running a job twice is the same as running it once. The handler runs once for reference, twice in a row,
 * and for each call that it makes on the fakes once given up right behind that call, as if the process had died there,
 * and then whole: `observe` must answer the same every time. All runs have one job id, which a handler may use as its
 * key.
 *
 * A call that is given up takes effect and never answers; one that answers at once, without a promise, throws instead.
 *
 * @example
 * ```ts
 * import { expectIdempotent } from "@relevo/relevo/testing";
 *
 * await expectIdempotent({
 *   world: () => ({ charges: new Map<string, number>() }),
 *   handler: ({ charges }) => ({ amount }: { amount: number }, { job }) => {
 *     if (!charges.has(job.id)) charges.set(job.id, amount);
 *   },
 *   payload: { amount: 10 },
 *   observe: ({ charges }) => [...charges.values()],
 * });
 * ```
 *
 * @throws {Error} named `ClaimError`, which names the call, the wanted state and the one found; when the handler fails
 * alone, or makes no call on the fakes; for fakes that are frozen.
 * @throws {TypeError} for an option that is wrong or unknown.
 */
export async function expectIdempotent<World extends object, Payload, Seen>(
  options: IdempotenceOptions<World, Payload, Seen>,
): Promise<Idempotence> {
  const action = "examine whether a handler may run twice";
  checkKnown(action, options, ["world", "handler", "payload", "observe"]);
  const { handler, observe } = options;
  for (const [name, value] of Object.entries({ world: options.world, handler, observe })) {
    if (typeof value !== "function") throw wrongType(action, `'${name}'`, "a function", value);
  }
  /** Names of calls that answer with a promise. */
  const waiting = new Set<string>();

  const reference = await options.world();
  const { world, calls } = watch(reference, Infinity, waiting);
  const alone = handler(world);
  checkListener(action, alone);
  await runOf(options, alone, "when it ran alone");
  ok(calls.length > 0, "the handler makes at least one call on the fakes of 'world'");
  const wanted = structuredClone(await observe(reference));

  const twice = await options.world();
  await runOf(options, handler(twice), "in the first of two runs");
  await runOf(options, handler(twice), "in the second of two runs");
  equal(await observe(twice), wanted, "what two whole runs in a row leave behind");

  for (const [index, call] of calls.entries()) {
    const after = `given up behind call ${index + 1} of ${calls.length}, '${call}'`;
    const fakes = await options.world();
    await giveUp(options, fakes, index + 1, waiting);
    await runOf(options, handler(fakes), `in a whole run after one ${after}`);
    equal(await observe(fakes), wanted, `what a run ${after}, and then a whole one, leave behind`);
  }
  return { calls: [...calls], runs: 3 + 2 * calls.length };
}

/** Refuses what is no handler: an option that is one already, and not made over the fakes, answers none. */
function checkListener(action: string, listener: unknown): void {
  const { handle }: { readonly handle?: unknown } = Object(listener);
  if (typeof listener === "function" || typeof handle === "function") return;
  throw wrongType(action, "what 'handler' makes of the fakes", "a handler", listener);
}

/** Runs the handler until a call took effect; one that ends without having made that call ran whole. */
async function giveUp<World extends object, Payload, Seen>(
  options: IdempotenceOptions<World, Payload, Seen>,
  fakes: World,
  last: number,
  waiting: Set<string>,
): Promise<void> {
  const { world, givenUp } = watch(fakes, last, waiting);
  const listener = options.handler(world);
  const run = invoke(listener, options.payload).catch(() => undefined);
  await Promise.race([givenUp, run]);
}

async function runOf<World extends object, Payload, Seen>(
  { payload }: IdempotenceOptions<World, Payload, Seen>,
  listener: Listener<Payload>,
  when: string,
): Promise<void> {
  try {
    await invoke(listener, payload);
  } catch (cause) {
    throw new ClaimError(`Wanted: the handler ends well ${when}; found ${messageOf(cause)}`, { cause });
  }
}

async function invoke<Payload>(listener: Listener<Payload>, payload: Payload): Promise<void> {
  const context = createContext(payload);
  const given = structuredClone(payload);
  await (typeof listener === "function" ? listener(given, context) : listener.handle(given, context));
}

const ID = "idempotent";

/** The attempt that a worker gives to a first run, and to one after a lost lease, which does not count. */
function createContext(payload: unknown): HandlerContext {
  const job: HandledJob = {
    id: ID,
    name: ID,
    queue: "default",
    attempts: 0,
    lost: 0,
    createdAt: 0,
    due: 0,
    requestId: ID,
    headers: {},
    codec: "json",
    version: 1,
    payload: new TextEncoder().encode(JSON.stringify(payload) ?? ""),
  };
  return {
    signal: new AbortController().signal,
    attempt: 1,
    job,
    settle: () =>
      Promise.reject(new TypeError("Cannot settle within a transaction as there is no transport")),
  };
}
