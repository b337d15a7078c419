/**
 * Whether payloads of older programs are still read: samples of each version climb to today's, and today's schema takes
 * them.
 *
 * @module
 */

import { raw } from "../../payload/codec.ts";
import {
  type Definition,
  type Fitting,
  type Jobs,
  type NameOf,
  readDefinitions,
} from "../../jobs/definitions.ts";
import { errorOf, InvalidPayloadError, messageOf } from "../../errors.ts";
import { json } from "../../payload/json.ts";
import { checkObject, shown, wrongType } from "../../options.ts";
import { validate } from "../../payload/schema.ts";
import { StepFailed } from "../../payload/version.ts";
import { ClaimError } from "../conformance/assert.ts";

/** Stored payloads by their job's name and their version, as the job's codec reads them. */
export type Samples<J extends Jobs> = {
  readonly [Name in NameOf<J>]?: { readonly [version: number]: readonly unknown[] };
};

/**
 * Claims that jobs which older programs dispatched are still read: each sample climbs the definition's `upcast` from
 * its version, and the schema takes the result. A job that is named needs a sample of every version that it reads below
 * the newest. Keep the samples for as long as such jobs may wait or lie dead.
 *
 * @example
 * ```ts
 * import { from } from "@relevo/relevo";
 * import { expectUpcasts } from "@relevo/relevo/testing";
 * import * as v from "valibot";
 *
 * const schema = v.object({ first: v.string(), last: v.string() });
 * const upcast = from(1, (old: { name: string }) => old.name.split(" "))
 *   .step(([first = "", last = ""]) => ({ first, last }));
 * await expectUpcasts({ greet: { schema, upcast } }, {
 *   greet: { 1: [{ name: "Ada Lovelace" }], 2: [["Ada", "Lovelace"]] },
 * });
 * ```
 *
 * @throws {Error} named `ClaimError`, which lists each sample that is not read, with its job, version and cause.
 * @throws {TypeError | RangeError} for definitions that `createRelay` refuses, and a name that none has.
 */
export async function expectUpcasts<const J extends Jobs>(
  jobs: J & Fitting<J>,
  samples: Samples<J>,
): Promise<void> {
  const definitions = readDefinitions(jobs, [json, raw]);
  const wrong: string[] = [];
  checkObject("read samples", "'samples', its second argument,", samples);
  for (const [name, versions = {}] of Object.entries<Samples<Jobs>[string]>(samples)) {
    const definition = definitions.get(name);
    if (definition === undefined) {
      throw new TypeError(`Cannot read samples of job '${shown(name)}' as no definition has this name`);
    }
    for (const [version, list] of Object.entries<unknown>(versions)) {
      if (Array.isArray(list)) continue;
      const place = `those of version ${shown(version)}`;
      throw wrongType(`read samples of job '${name}'`, place, "a list of payloads", list);
    }
    wrong.push(...missing(definition, versions));
    for (const [version, list] of Object.entries(versions)) {
      for (const [index, sample] of list.entries()) {
        const cause = await refusal(definition, Number(version), sample);
        if (cause !== undefined) wrong.push(`${name}, version ${version}, sample ${index + 1}: ${cause}`);
      }
    }
  }
  if (wrong.length === 0) return;
  throw new ClaimError(`Wanted: each stored sample is read today; found\n  ${wrong.join("\n  ")}`);
}

/** Versions whose step would go untried. */
function missing(
  { name, upcast }: Definition,
  versions: Readonly<Record<number, readonly unknown[]>>,
): string[] {
  const { first, last } = upcast ?? { first: 1, last: 1 };
  const all = Array.from({ length: last - first }, (_, index) => first + index);
  return all.filter((version) => (versions[version]?.length ?? 0) === 0)
    .map((version) => `${name}, version ${version}: there is no sample of it`);
}

/** Why a worker would not run a job with this payload; undefined when it would. */
async function refusal(
  { name, schema, upcast }: Definition,
  version: number,
  sample: unknown,
): Promise<string | undefined> {
  const { first, last } = upcast ?? { first: 1, last: 1 };
  if (!(version >= first && version <= last)) return `versions ${first} to ${last} are read`;
  let climbed = structuredClone(sample);
  try {
    if (upcast !== undefined) climbed = upcast.climb(climbed, version);
  } catch (error) {
    const { message, cause } = errorOf(error);
    return error instanceof StepFailed ? `${message}: ${messageOf(cause)}` : message;
  }
  try {
    await validate(schema, name, climbed);
    return undefined;
  } catch (error) {
    // The samples are the test's own, so that the schema's words of them may be shown.
    const issues = error instanceof InvalidPayloadError
      ? error.issues.map(({ message }) => `: ${message}`)
      : [];
    return messageOf(error) + issues.join("");
  }
}
