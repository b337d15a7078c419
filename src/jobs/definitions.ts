/**
 * The definitions of jobs, which the user writes once, the types that follow from it, and the table that dispatch and
 * workers read.
 *
 * @module
 */

import { type Backoff, checkBackoff } from "./backoff.ts";
import type { Codec } from "../payload/codec.ts";
import { QUEUE } from "../defaults.ts";
import { json } from "../payload/json.ts";
import { hasFields } from "../kinds.ts";
import { checkName, topicQueue } from "../names.ts";
import { checkBoolean, checkInteger, checkKnown, checkTime, quote, wrongType } from "../options.ts";
import { checkCodec, type Codecs, createCodecs, secretsOf } from "../payload/pipeline.ts";
import { type InputOf, isSchema, type OutputOf, type StandardSchema } from "../payload/schema.ts";
import { checkUpcast, type Upcast } from "../payload/version.ts";

/**
 * The options of a definition beside its schema; read where the job runs, so that a deploy changes waiting jobs too.
 */
export interface JobOptions {
  /** The queue that its jobs go to, or the topic. Default: the queue `default`; for a topic, the job's own name. */
  readonly queue?: string | undefined;
  /**
   * Its jobs fan out: each group that is bound to the topic gets every job, and the members of one group share them.
   * Jobs with the same `queue` share a topic. Default false: workers share the jobs of a queue.
   */
  readonly topic?: boolean | undefined;
  /** Runs in all; the first counts. Default: the worker's `maxRetry`. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds that one run may take, all listeners together. Default: no limit. */
  readonly timeout?: number | undefined;
  /** The delay before each further run. Default: the worker's `backoff`. */
  readonly backoff?: Backoff | undefined;
  /** How payloads are written. Default {@linkcode json}. */
  readonly codec?: Codec | undefined;
  /**
   * Workers refuse a payload that was not encrypted: its job is dead at once, its reason `undecodable`. Its codec must
   * encrypt. Default false.
   */
  readonly require?: boolean | undefined;
  /** Names that the job had before; jobs that wait under them are handled as this job. Default: none. */
  readonly aliases?: readonly string[] | undefined;
}

/** A schema with options. */
export interface JobDefinition<Schema extends StandardSchema = StandardSchema> extends JobOptions {
  /** The schema of payloads; asked at dispatch and again before the handler. */
  readonly schema: Schema;
  /** The versions that its payloads had, made by `from`. Default: version 1 alone. */
  readonly upcast?: Upcast<InputOf<Schema>> | undefined;
}

/**
 * Definitions that have no option that does not exist, and whose last steps give payloads that their schemas take;
 * others do not compile. A function of your own that makes relays takes `jobs: J & Fitting<J>` and calls
 * `createRelay<J>({ jobs })`.
 */
export type Fitting<J extends Jobs> = {
  readonly [Name in keyof J]: J[Name] extends {
    readonly schema: infer Schema extends StandardSchema;
    readonly upcast?: infer Versions;
  }
    ? Exclude<keyof J[Name], keyof JobDefinition | "~standard"> extends never
      ? unknown extends Versions ? unknown
      : Exclude<Versions, undefined> extends Upcast<InputOf<Schema>> ? unknown
      : { readonly upcast: Upcast<InputOf<Schema>> }
    : J[Name] extends StandardSchema ? unknown
    : string extends keyof J[Name] ? unknown
    : {
      readonly [
        // An object, as compilers make `never` of the whole definition where two literals exclude each other.
        Key in Exclude<keyof J[Name], keyof JobDefinition>
      ]: {
        readonly [Says in `A job has no option '${Key & string}'`]: never;
      };
    }
    : unknown;
};

/** All jobs that a relay knows; the key is the job's name, in types and on the wire. */
export type Jobs = Readonly<Record<string, StandardSchema | JobDefinition>>;

/** The names of jobs; an `Extract`, as compilers then answer a wrong name with the right ones instead of this type. */
export type NameOf<J extends Jobs> = Extract<keyof J, string>;

/** The schema of a definition. */
export type SchemaOf<Definition> = Definition extends StandardSchema ? Definition
  : Definition extends { readonly schema: infer Schema extends StandardSchema } ? Schema
  : never;

/** The payload that is dispatched under a name. */
export type PayloadOf<J extends Jobs, Name extends NameOf<J>> = InputOf<SchemaOf<J[Name]>>;

/** The values that a handler gets under a name. */
export type HandledOf<J extends Jobs, Name extends NameOf<J>> = OutputOf<SchemaOf<J[Name]>>;

/** A definition as the core reads it. */
export interface Definition {
  readonly name: string;
  readonly schema: StandardSchema;
  /** Where its jobs are pushed to: of a topic, the topic's own queue. */
  readonly queue: string;
  /** The topic's name; absent where its jobs go to a plain queue. */
  readonly topic: string | undefined;
  readonly codec: Codec;
  readonly require: boolean;
  /** The versions of its payloads; absent: version 1 alone. */
  readonly upcast: Upcast | undefined;
  readonly maxAttempts: number | undefined;
  readonly timeout: number | undefined;
  readonly backoff: Backoff | undefined;
}

/** Every definition, by each of its names. */
export interface Definitions {
  /** The definition of a name or alias. */
  get(name: string): Definition | undefined;
  readonly names: readonly string[];
  /** The queues that some definition names, and the default one; no topic's. */
  readonly queues: ReadonlySet<string>;
  /** The topics that some definition names. */
  readonly topics: ReadonlySet<string>;
  /** The codecs that records may name. */
  readonly codecs: Pick<Codecs, "get" | "filters">;
}

const KNOWN = [
  "schema",
  "queue",
  "topic",
  "maxAttempts",
  "timeout",
  "backoff",
  "codec",
  "require",
  "aliases",
  "upcast",
];

/**
 * Reads and checks the user's definitions.
 *
 * @throws {TypeError | RangeError} for a wrong name, option or schema.
 */
export function readDefinitions(jobs: Jobs, codecs: readonly Codec[]): Definitions {
  if (typeof jobs !== "object" || jobs === null || Array.isArray(jobs) || !hasFields(jobs)) {
    throw wrongType("make a relay", "'jobs'", "an object of schemas", jobs);
  }
  const byName = new Map<string, Definition>();
  const queues = new Set([QUEUE]);
  const topics = new Set<string>();
  const table = createCodecs();
  for (const codec of codecs) table.add(codec, "make a relay");

  for (const [name, written] of Object.entries(jobs)) {
    const definition = readDefinition(name, written);
    for (const known of [name, ...aliasesOf(written)]) {
      checkName("job", known, `define job '${name}'`);
      if (byName.has(known)) {
        throw new TypeError(`Cannot define job '${name}' as '${known}' names another job already`);
      }
      byName.set(known, definition);
    }
    if (definition.topic === undefined) queues.add(definition.queue);
    else topics.add(definition.topic);
    const [kind, place, other, others] = definition.topic === undefined
      ? ["queue", definition.queue, "topic", topics] as const
      : ["topic", definition.topic, "queue", queues] as const;
    if (others.has(place)) {
      throw new TypeError(
        `Cannot define job '${name}' with the ${kind} '${place}' as there is a ${other} of that name`,
      );
    }
    table.add(definition.codec, `define job '${name}'`);
  }
  return {
    get: (name) => byName.get(name),
    names: Object.keys(jobs),
    queues,
    topics,
    codecs: table,
  };
}

function readDefinition(name: string, written: StandardSchema | JobDefinition): Definition {
  const action = `define job '${name}'`;
  const { schema, ...options }: JobDefinition = isSchema(written) ? { schema: written } : Object(written);
  if (!isSchema(schema)) {
    throw noSchema(action, written);
  }
  checkKnown(action, options, KNOWN);
  if (options.topic !== undefined) checkBoolean(action, "topic", options.topic);
  const topic = options.topic === true ? options.queue ?? name : undefined;
  if (topic !== undefined) checkName("topic", topic, action);
  else if (options.queue !== undefined) checkName("queue", options.queue, action);
  if (options.aliases !== undefined && !Array.isArray(options.aliases)) {
    throw wrongType(action, "'aliases'", "a list of names", options.aliases);
  }
  if (options.maxAttempts !== undefined) {
    checkInteger(action, "maxAttempts", options.maxAttempts, 1, Number.MAX_SAFE_INTEGER);
  }
  if (options.timeout !== undefined) checkTime(action, "timeout", options.timeout, 1);
  if (options.backoff !== undefined && typeof options.backoff !== "function") {
    checkBackoff(options.backoff, action);
  }
  const { codec = json, require = false } = options;
  checkCodec(codec, action);
  checkBoolean(action, "require", require);
  if (options.upcast !== undefined) checkUpcast(options.upcast, action);
  if (require && secretsOf(codec).length === 0) {
    throw new TypeError(`Cannot ${action} with 'require' as its codec '${codec.id}' does not encrypt`);
  }
  return {
    name,
    schema,
    queue: topic === undefined ? options.queue ?? QUEUE : topicQueue(topic),
    topic,
    codec,
    require,
    upcast: options.upcast,
    maxAttempts: options.maxAttempts,
    timeout: options.timeout,
    backoff: options.backoff,
  };
}

/** Says of a value that it is no schema, and how one would look. */
function noSchema(action: string, written: unknown): TypeError {
  const has = (value: unknown, key: string): boolean =>
    Object(value) === value && Object(value)[key] !== undefined;
  const given: unknown = has(written, "schema") ? Object(written).schema : written;
  // Effect's schemas have an `ast`, and become standard ones by a call.
  const wanted = has(given, "ast")
    ? "wrap Effect's in Schema.standardSchemaV1(...)"
    : "one of valibot, zod 3.24 or later, arktype 2, or Effect's Schema.standardSchemaV1(...)";
  return new TypeError(
    `Cannot ${action} as it needs a Standard Schema, itself or as 'schema': ${wanted}: current value is ${
      quote(given)
    }`,
  );
}

function aliasesOf(written: StandardSchema | JobDefinition): readonly string[] {
  return isSchema(written) ? [] : written.aliases ?? [];
}
