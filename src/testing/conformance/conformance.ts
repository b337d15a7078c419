/**
 * The conformance suite: every promise of the transport contract as a case that any test runner can run.
 *
 * @module
 */

import type { Features } from "../../contract/transport.ts";
import { shown } from "../../options.ts";
import { ADMIN } from "./admin.ts";
import { CLOCK } from "./clock.ts";
import { CLOSE } from "./close.ts";
import { CONNECTION } from "./connection.ts";
import { DEAD } from "./dead.ts";
import { DEAD_LINK } from "./dead_link.ts";
import { DELAY } from "./delay.ts";
import { DIAGNOSE } from "./diagnose.ts";
import { FOREIGN } from "./foreign.ts";
import { IDS } from "./ids.ts";
import { GROUPS as TOPIC_GROUPS } from "./groups.ts";
import { inLab } from "./lab.ts";
import { LEASE } from "./lease.ts";
import { LISTING } from "./listing.ts";
import { ORDER } from "./order.ts";
import { PUSH } from "./push.ts";
import { RESERVE } from "./reserve.ts";
import { RIVALS } from "./rivals.ts";
import { SCHEDULES } from "./schedules.ts";
import { SETTLE } from "./settle.ts";
import { STRESS } from "./stress.ts";
import type { Claim } from "./claim.ts";
import type { Ability, Case, Need, Subject } from "./subject.ts";
import { TOPICS } from "./topics.ts";
import { TROUBLE } from "./trouble.ts";
import { TRANSACTIONS } from "./transactions.ts";
import { WAKE } from "./wake.ts";
import { WRONG_INPUT } from "./wrong_input.ts";

const GROUPS: Readonly<Record<string, readonly Claim[]>> = {
  push: PUSH,
  reserve: RESERVE,
  wake: WAKE,
  lease: LEASE,
  settle: SETTLE,
  delay: DELAY,
  order: ORDER,
  dead: DEAD,
  ids: IDS,
  admin: [...ADMIN, ...RIVALS],
  foreign: FOREIGN,
  diagnose: DIAGNOSE,
  trouble: TROUBLE,
  listing: LISTING,
  clock: CLOCK,
  transactions: TRANSACTIONS,
  topics: [...TOPICS, ...TOPIC_GROUPS],
  schedules: SCHEDULES,
  "wrong input": WRONG_INPUT,
  close: CLOSE,
  connection: CONNECTION,
  "dead link": DEAD_LINK,
  stress: STRESS,
};

/**
 * The cases that a transport must pass, each with a store of its own. A case that needs a feature which the subject
 * does not declare is not among them.
 *
 * @throws {TypeError} for a subject without `features` or `create`, and for a durable one without `restart`.
 *
 * @example
 * ```ts
 * import { memory } from "@relevo/relevo";
 * import { conformance, createFakeRuntime } from "@relevo/relevo/testing";
 *
 * const runtime = createFakeRuntime();
 * const cases = conformance({
 *   name: "memory",
 *   features: memory().features,
 *   topics: true,
 *   schedules: true,
 *   diagnose: true,
 *   create: () => Promise.resolve(memory({ runtime })),
 *   elapse: (ms) => runtime.advance(ms),
 *   now: () => runtime.now(),
 * });
 * for (const { name, run } of cases.slice(0, 3)) {
 *   await run(); // or test(name, run), with the test runner that you have
 *   console.log(name);
 * }
 * ```
 */
export function conformance(subject: Subject): readonly Case[] {
  const { name, features, create }: Partial<Subject> = Object(subject);
  if (typeof features !== "object" || typeof create !== "function") {
    throw new TypeError(
      `Cannot examine '${
        shown(name)
      }' as a subject must have 'features', those of its transport, and a function 'create'`,
    );
  }
  if (features.durable && subject.restart === undefined) {
    throw new TypeError(`Cannot examine '${subject.name}' as a durable subject must have 'restart'`);
  }
  return allCases(subject).filter((one) => one.needs.every((need) => has(subject, need)));
}

/** Every case, those too that need an ability which the subject does not have. */
export function allCases(subject: Subject): readonly Case[] {
  return Object.entries(GROUPS).flatMap(([group, claims]) =>
    claims.map(({ name, needs, check }) => ({ group, name, needs, run: () => inLab(subject, check) }))
  );
}

/** Whether a subject declares a feature or has an ability. */
export function has(subject: Subject, need: Need): boolean {
  return need in subject.features
    ? subject.features[need as keyof Features] === true
    : subject[need as Ability] !== undefined;
}
