/**
 * The errors of payloads that cannot be read here: a key, a version or a step is missing or wrong.
 *
 * @module
 */

import { messageOf, RelevoError } from "../errors.ts";

/** Bytes that were encrypted with a key that is not known here; a worker hands their job back, for another to read. */
export class UnknownKeyError extends RelevoError {
  /** `UnknownKeyError`, also where a bundler renames the class. */
  override readonly name: string = "UnknownKeyError";
  /** The key's id. */
  readonly key: string;

  /** `ring` is the key ring's name, `key` the id of a key that it does not have. */
  constructor(ring: string, key: string) {
    super("UNKNOWN_KEY", `The key ring '${ring}' has no key '${key}'`);
    this.key = key;
  }
}

/** A payload of a version that its definition here does not read. */
export class PayloadVersionError extends RelevoError {
  /** `PayloadVersionError`, also where a bundler renames the class. */
  override readonly name: string = "PayloadVersionError";
  /** The payload's. */
  readonly version: number;

  /** `job` is the job's name, `first` and `last` the versions that are read. */
  constructor(job: string, version: number, first: number, last: number) {
    const wanted = first === last ? `version ${first} is read` : `versions ${first} to ${last} are read`;
    super("PAYLOAD_VERSION", `The payload of '${job}' has version ${version}: here ${wanted}`);
    this.version = version;
  }
}

/** A step of a definition's `upcast` that threw; `cause` is its error. */
export class UpcastError extends RelevoError {
  /** `UpcastError`, also where a bundler renames the class. */
  override readonly name: string = "UpcastError";
  /** The step's number, from 1. */
  readonly step: number;

  /** `job` is the job's name, `version` the one that the step was given. */
  constructor(job: string, step: number, version: number, cause: unknown) {
    const way = `from version ${version} to ${version + 1}`;
    super("UPCAST_FAILED", `Step ${step} of '${job}', ${way}, failed: ${messageOf(cause)}`, { cause });
    this.step = step;
  }
}
