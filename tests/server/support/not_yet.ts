/**
 * Cases of the conformance suite that a transport does not keep yet. A name leaves its list with the change that makes
 * it hold.
 */
import type { Case } from "../../../src/testing/mod.ts";

/** What only later versions of the transports that have servers do. */
export const NOT_YET: Readonly<Record<"Redis" | "NATS", readonly string[]>> = {
  Redis: [],
  NATS: [],
};

/** The cases that a transport keeps today. */
export function kept(cases: readonly Case[], transport: keyof typeof NOT_YET): readonly Case[] {
  return cases.filter(({ name }) => !NOT_YET[transport].includes(name));
}
