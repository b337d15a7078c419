/**
 * Standard Schema, as far as Relevo uses it (https://standardschema.dev, version 1), and the one call of it.
 *
 * @module
 */

import { InvalidPayloadError } from "../errors.ts";
import type { Issue } from "../issues.ts";
import { shown } from "../options.ts";
import { isPromise } from "../promises.ts";

/** A schema of any library that follows Standard Schema: valibot, zod, arktype and others. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** Where the standard puts a schema's version, its library's name, its types and its one function. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** A schema's answer to a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One reason why a value does not fit. */
export interface SchemaIssue {
  /** For people; it becomes part of the error's message. */
  readonly message: string;
  /** Keys from the outside in; absent for the value itself. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  /** An addition of some libraries to the standard: the type that the schema wants, without the value. */
  readonly expected?: unknown;
  /** An addition of valibot to the standard: the type that was found. */
  readonly received?: unknown;
}

/** The type that a schema takes. */
export type InputOf<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["input"];

/** The type that a schema gives. */
export type OutputOf<Schema extends StandardSchema> = NonNullable<Schema["~standard"]["types"]>["output"];

/** Whether a value is a schema; some libraries' schemas are functions. */
export function isSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard: unknown = "~standard" in value ? value["~standard"] : undefined;
  return typeof standard === "object" && standard !== null && "validate" in standard &&
    typeof standard.validate === "function";
}

/**
 * A schema's answer to a value, at once where the schema does not wait.
 *
 * @throws {InvalidPayloadError} with every issue; for a schema that waits, as a rejection.
 */
export function validate(schema: StandardSchema, job: string, value: unknown): unknown | Promise<unknown> {
  const result = schema["~standard"].validate(value);
  return isPromise(result)
    ? Promise.resolve(result).then((late) => valueOf(late, job))
    : valueOf(result, job);
}

function valueOf(result: unknown, job: string): unknown {
  if (typeof result === "object" && result !== null) {
    const { issues }: { readonly issues?: unknown } = result;
    if (issues === undefined && "value" in result) return result.value;
    if (Array.isArray(issues) && issues.length > 0) throw new InvalidPayloadError(job, issues.map(issueOf));
  }
  throw new TypeError(`The schema of '${job}' gave neither a value nor issues`);
}

function issueOf(given: unknown): Issue {
  const { message: text, path: steps, expected, received }: Partial<SchemaIssue> = Object(given);
  const message = typeof text === "string" ? text : "it does not fit";
  const keys = (Array.isArray(steps) ? steps : []).map((step: unknown) =>
    keyOf(typeof step === "object" && step !== null && "key" in step ? step.key : step)
  );
  if (typeof expected !== "string" || expected === "") return { message, path: keys };
  // Of a key that is missing valibot says that it expected the key's own name, as if that were the value's type.
  const isMissing = received === "undefined" && expected === `"${keys.at(-1)}"`;
  return { message, path: keys, expected: isMissing ? "a value" : expected };
}

function keyOf(key: unknown): string | number {
  return typeof key === "number" || typeof key === "string" ? key : shown(key);
}
