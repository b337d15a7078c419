/**
 * Cases of the conformance suite that a transport does not keep yet. A name leaves its list with the change that makes
 * it hold.
 */
import type { Case } from "../../../src/testing/mod.ts";

/** What only later versions of the transports that have servers do. */
export const NOT_YET: Readonly<Record<"Redis" | "NATS", readonly string[]>> = {
  Redis: [],
  NATS: [
    "an entry that another program put in has a number as its id, behind a '#'",
    "an instant in the past is due now, and in front of no other job",
    "a job that fell due while no worker looked comes before what was dispatched later",
    "however many fell due meanwhile come before what was dispatched later",
    "jobs come by due time, whatever their delays were",
    "jobs come by due time, one at a time",
    "a listing of what waits is in the order of due times",
    "a released job keeps its due time, and its place",
    "a reserve that waits reclaims nothing before the one who made it is ready",
    "a reserve that asks for what cannot be is refused",
    "a call without sound bounds is refused",
    "a batch that is none, or too large, is refused whole",
    "an operator's call that makes no sense is refused",
    "a topic or group that cannot be is refused",
    "a schedule that cannot be is refused",
    "a job that is wrong is refused alone, and its neighbours are stored",
    "a job that is wrong keeps its whole atomic batch from being stored",
    "a settlement or extension that is wrong is refused alone, and the job stays held",
  ],
};

/** The cases that a transport keeps today. */
export function kept(cases: readonly Case[], transport: keyof typeof NOT_YET): readonly Case[] {
  return cases.filter(({ name }) => !NOT_YET[transport].includes(name));
}
