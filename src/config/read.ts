/**
 * Reading a configuration: an object or a JSON file, checked as a whole, with every fault and its path.
 *
 * @module
 */

import * as v from "valibot";
import type { BackoffPolicy } from "../jobs/backoff.ts";
import { MAX_CONCURRENCY, MAX_DELAY } from "../defaults.ts";
import { messageOf } from "../errors.ts";
import { faultOf, messageOfFields } from "../options.ts";
import { checkName } from "../names.ts";
import { doubledKeys } from "./doubled.ts";

/** The settings that a configuration has for one name. */
export interface Entry {
  /** Where its jobs are kept, as `connect` takes it. Default: Redis where the environment says, else on 127.0.0.1. */
  readonly url?: string | undefined;
  /** Handlers that its worker runs at once. Default 10. */
  readonly concurrency?: number | undefined;
  /** The longest wait of one look for jobs, in milliseconds. Default 1,000. */
  readonly poll?: number | undefined;
  /** The delay before further runs: a policy, or the first delay in milliseconds, doubling. Default 5,000. */
  readonly backoff?: BackoffPolicy | undefined;
  /** Runs of a job in all. Default 3. */
  readonly maxRetry?: number | undefined;
  /**
   * Milliseconds between two readings of the queue's length, for programs that read them. Default 15,000 (seed 003).
   */
  readonly gauge?: number | undefined;
}

/** A configuration, as an object or in a JSON file. */
export interface Config {
  /** Entries by name; the name is that of the relay, and of the queue of jobs that name none. */
  readonly queue: Readonly<Record<string, EntryInput>>;
}

/** An entry as it is written. */
export interface EntryInput extends Omit<Entry, "backoff"> {
  /** As in {@linkcode Entry}. */
  readonly backoff?: BackoffPolicy | number | undefined;
}

/** Milliseconds between two readings of a queue's length where the entry says nothing (seed 003). */
export const GAUGE_INTERVAL: number = 15_000;

/** A configuration that is wrong; the message lists every fault with its path. */
export class ConfigError extends Error {
  /** `ConfigError`, also where a bundler renames the class. */
  override readonly name: string = "ConfigError";
  /** Each fault, as `path: fault`. */
  readonly faults: readonly string[];

  /** `source` is the file, or another source. */
  constructor(source: string, faults: readonly string[], options?: ErrorOptions) {
    super(`Cannot read the configuration ${source}: ${faults.join("; ")}`, options);
    this.faults = faults;
  }
}

const CENTURY = "must be milliseconds up to a century";

/** A number of milliseconds of at least so many, and no more than a worker takes. */
function timeFrom(least: number) {
  const wanted = `must be milliseconds from ${least}`;
  return v.pipe(
    v.number(wanted),
    v.finite(wanted),
    v.minValue(least, wanted),
    v.maxValue(MAX_DELAY, CENTURY),
  );
}

/** The same schema, but for a list, which has fields as well. */
function noList<Schema extends v.GenericSchema>(schema: Schema, message: string) {
  const refusal = v.never(message);
  return v.lazy((given): Schema | typeof refusal => Array.isArray(given) ? refusal : schema);
}

/** An object of these fields and no others. */
function fieldsOf<const Fields extends v.ObjectEntries>(fields: Fields) {
  return noList(v.strictObject(fields, messageOfFields(fields)), "must be an object");
}

const time = timeFrom(0);
const WHOLE = "must be a whole number from 1";
const whole = v.pipe(v.number(WHOLE), v.safeInteger(WHOLE), v.minValue(1, WHOLE));
const handlers = v.pipe(whole, v.maxValue(MAX_CONCURRENCY, `must be at most ${MAX_CONCURRENCY}`));
const TYPES = ["exponential", "fixed", "linear", "jittered"] as const;
const PART = "must be a number from 0 to 1";

const policy = v.pipe(
  fieldsOf({
    type: v.picklist(TYPES, `must be one of ${TYPES.map((type) => `'${type}'`).join(", ")}`),
    base: time,
    max: time,
    jitter: v.pipe(v.number(PART), v.minValue(0, PART), v.maxValue(1, PART)),
  }),
  v.check(({ base, max }) => max >= base, "must have a 'max' that is not below its 'base'"),
);

const FIRST = "must be milliseconds from 0, or an object of type, base, max and jitter";
const doubling = v.pipe(
  v.number(FIRST),
  v.finite(FIRST),
  v.minValue(0, FIRST),
  v.maxValue(MAX_DELAY, CENTURY),
  v.transform((base) => ({ type: "exponential" as const, base, max: Math.max(600_000, base), jitter: 0.1 })),
);

const URL_WANTED = "must be a URL that 'connect' takes";
const ENTRIES = "must be an object of entries by their names";
const entries = v.record(
  v.string(),
  fieldsOf({
    url: v.optional(v.pipe(v.string(URL_WANTED), v.nonEmpty(URL_WANTED))),
    concurrency: v.optional(handlers),
    poll: v.optional(timeFrom(1)),
    // A union would tell of a policy with one wrong field that it is neither of the two.
    backoff: v.optional(v.lazy((given) => typeof given === "object" ? policy : doubling)),
    maxRetry: v.optional(whole),
    gauge: v.optional(timeFrom(1)),
  }),
  ENTRIES,
);
const schema = fieldsOf({ queue: noList(entries, ENTRIES) });

/**
 * Reads a configuration.
 *
 * @throws {ConfigError} for a value that is none, with every fault.
 */
export async function readConfig(config: unknown): Promise<ReadonlyMap<string, Entry>> {
  const isFile = typeof config === "string" || config instanceof URL;
  const source = isFile ? `'${config}'` : "object";
  const written = isFile ? parse(source, await textOf(source, config)) : config;
  const result = v.safeParse(schema, written, { abortPipeEarly: true });
  if (!result.success) {
    const faults = result.issues.map((issue) =>
      `${v.getDotPath(issue) ?? "the configuration"}: ${faultOf(issue)}`
    );
    throw new ConfigError(source, faults);
  }
  const faults: string[] = [];
  for (const name of Object.keys(result.output.queue)) {
    try {
      checkName("queue", name, "name an entry");
    } catch (error) {
      faults.push(`queue.${name}: ${messageOf(error)}`);
    }
  }
  if (faults.length > 0) throw new ConfigError(source, faults);
  return new Map(Object.entries(result.output.queue));
}

async function textOf(source: string, file: string | URL): Promise<string> {
  let fs: { readFile(path: string | URL, encoding: "utf8"): Promise<string> };
  try {
    fs = await import("node:fs/promises");
  } catch (cause) {
    throw new ConfigError(source, ["this runtime has no files: give the configuration as an object"], {
      cause,
    });
  }
  try {
    const text = await fs.readFile(file, "utf8");
    // Some editors begin a file with the mark of its byte order, which is no JSON.
    return text.startsWith("\uFEFF") ? text.slice(1) : text;
  } catch (cause) {
    throw new ConfigError(source, [messageOf(cause)], { cause });
  }
}

function parse(source: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The rest of the parser's message, and so the error itself, repeats a part of the text, which may be a password.
    const place = / at position \d+(?: \(line \d+ column \d+\))?/.exec(messageOf(error))?.[0] ?? "";
    throw new ConfigError(source, [`it is no JSON${place}`]);
  }
  const doubled = doubledKeys(text);
  if (doubled.length > 0) throw new ConfigError(source, doubled.map((path) => `${path}: is there twice`));
  return value;
}
