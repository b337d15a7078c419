/**
 * Dispatched jobs: a middleware that keeps them, and claims about them.
 *
 * @module
 */

import type { Definitions } from "../../jobs/definitions.ts";
import { UnknownJobError } from "../../errors.ts";
import type { AroundDispatch, OutgoingJob } from "../../sides/middleware.ts";
import { shown } from "../../options.ts";
import { ClaimError, differ, show } from "../conformance/assert.ts";

/** A job that was dispatched. */
export interface DispatchedJob<Payload> extends Omit<OutgoingJob, "payload"> {
  /** The payload as its codec reads it: the schema's input. */
  readonly payload: Payload;
}

/** The jobs dispatched so far. */
export interface Outbox {
  /** Keeps jobs that the store took, or that ran inline. */
  readonly dispatch: AroundDispatch;
  /**
   * The jobs of a name whose payload is the wanted one, or of which the function is true; all of the name without it.
   *
   * @throws {UnknownJobError} for a name that no definition has.
   */
  find(name: string, wanted: unknown): readonly DispatchedJob<unknown>[];
  /** How many there are. */
  readonly size: number;
  /** A claim that failed, with the jobs that were dispatched instead. */
  claim(wanted: string): ClaimError;
}

/** Dispatches that a failed claim lists. */
const MOST = 20;

/** Makes an empty one. */
export function createOutbox(definitions: Definitions): Outbox {
  const kept: DispatchedJob<unknown>[] = [];

  return {
    dispatch: (next) => async (jobs) => {
      const answers = await next(jobs);
      answers.forEach((answer, index) => {
        const job = jobs[index];
        if (job === undefined || answer instanceof Error || answer.status === "duplicate") return;
        kept.push({ ...job, payload: definitions.get(job.name)?.codec.decode(job.payload) });
      });
      return answers;
    },
    find(name, wanted) {
      const definition = definitions.get(name);
      if (definition === undefined || definition.name !== name) {
        throw new UnknownJobError(shown(name), `there are ${definitions.names.join(", ") || "none"}`);
      }
      const named = kept.filter((job) => job.name === name);
      if (wanted === undefined) return named;
      if (typeof wanted === "function") return named.filter(({ payload }) => wanted(payload) === true);
      // As it would be stored: JSON leaves out fields that are undefined, and makes texts of dates.
      const stored = definition.codec.decode(definition.codec.encode(wanted));
      return named.filter(({ payload }) => !differ(payload, stored));
    },
    get size() {
      return kept.length;
    },
    claim: (wanted) => new ClaimError(`Wanted: ${wanted}; ${listed(kept)}`),
  };
}

function listed(jobs: readonly DispatchedJob<unknown>[]): string {
  if (jobs.length === 0) return "nothing was dispatched";
  const lines = jobs.slice(0, MOST).map(({ name, payload }) => `  ${name} ${show(payload)}`);
  if (jobs.length > MOST) lines.push(`  and ${jobs.length - MOST} more`);
  return `dispatched were:\n${lines.join("\n")}`;
}
