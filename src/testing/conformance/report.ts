/**
 * The abilities of a transport, as the suite shows them: the table of transports in a README.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import { checkList } from "../../options.ts";
import type { Features, Lacks, TransportAbility } from "../../contract/transport.ts";
import { allCases, conformance, has } from "./conformance.ts";
import type { Need, Subject } from "./subject.ts";

/** A case that did not pass. */
export interface FailedCase {
  /** The claim. */
  readonly name: string;
  /** The value wanted, and the value found. */
  readonly message: string;
}

/** The results of one transport. */
export interface Examination {
  /** The subject's. */
  readonly name: string;
  /** The features that it declares. */
  readonly features: Features;
  /** Why it lacks abilities. */
  readonly lacks?: Lacks | undefined;
  /** Whether every case of a group passed. */
  readonly groups: ReadonlyMap<string, boolean>;
  /** Whether all needs are met and every case that needs it passed. */
  readonly needs: ReadonlyMap<Need, boolean>;
  /** How many cases passed. */
  readonly passed: number;
  /** The cases that did not. */
  readonly failures: readonly FailedCase[];
}

const NEEDS: readonly (readonly [Need, string])[] = [
  ["durable", "jobs outlive the process"],
  ["shared", "several processes see the same jobs"],
  ["exactFence", "a stale settle never changes anything"],
  ["exactInfo", "counts are exact at any moment"],
  ["atomicPush", "bulk dispatch is all or nothing"],
  ["idLive", "an id is refused while its job is live"],
  ["idWindow", "an id is refused for its window"],
  ["restart", "a restart of what serves the store loses nothing"],
  ["topics", "topics: each group gets every job"],
  ["schedules", "recurring jobs can be stored"],
  ["transaction", "jobs join a transaction of the caller's"],
  ["raw", "other programs can put in entries"],
];

/** The ability whose reason explains a need that is no ability itself. */
const REASONS: Readonly<Partial<Record<Need, TransportAbility>>> = {
  restart: "durable",
  raw: "shared",
  transaction: "transactions",
};

const CLOCKS: Readonly<Record<Features["clock"], string>> = {
  process: "the process",
  machine: "the machine",
  server: "the server",
};

/** Runs every case for a subject, one after another, and says which passed. */
export async function examine(subject: Subject): Promise<Examination> {
  const failures: FailedCase[] = [];
  let passed = 0;
  for (const { name, run } of conformance(subject)) {
    await run().then(
      () => passed++,
      (reason: unknown) => failures.push({ name, message: messageOf(reason) }),
    );
  }
  const failed = new Set(failures.map(({ name }) => name));
  const groups = new Map<string, boolean>();
  const needs = new Map<Need, boolean>(NEEDS.map(([need]) => [need, has(subject, need)]));
  for (const one of allCases(subject)) {
    const good = one.needs.every((need) => has(subject, need)) ? !failed.has(one.name) : undefined;
    if (good !== undefined) groups.set(one.group, good && groups.get(one.group) !== false);
    if (good === false) { for (const need of one.needs) needs.set(need, false); }
  }
  return {
    name: subject.name,
    features: subject.features,
    lacks: subject.lacks,
    groups,
    needs,
    passed,
    failures,
  };
}

/**
 * Writes a Markdown table of the results: one column for each transport, a row for each feature. A feature
 * is `yes` where it is declared and every case that needs it passed, else `no` with the transport's reason.
 *
 * @example
 * ```ts
 * import { memory } from "@relevo/relevo";
 * import { createFakeRuntime, examine, featureTable } from "@relevo/relevo/testing";
 *
 * const runtime = createFakeRuntime();
 * const examination = await examine({
 *   name: "memory",
 *   features: memory().features,
 *   lacks: memory().lacks,
 *   topics: true,
 *   schedules: true,
 *   diagnose: true,
 *   create: () => Promise.resolve(memory({ runtime })),
 *   elapse: (ms) => runtime.advance(ms),
 *   now: () => runtime.now(),
 * });
 * console.log(featureTable([examination]));
 * ```
 */
export function featureTable(examinations: readonly Examination[]): string {
  checkList("write a table of features", "'examinations'", "a list of answers of examine", examinations);
  const row = (title: string, cell: (one: Examination) => string): string =>
    `| ${[title, ...examinations.map(cell)].join(" | ")} |`;
  return [
    row("", ({ name }) => name),
    `|${"---|".repeat(examinations.length + 1)}`,
    row("keeps the contract", ({ failures }) => failures.length === 0 ? "yes" : "no"),
    ...NEEDS.map(([need, title]) =>
      row(title, (one) => one.needs.get(need) === true ? "yes" : noOf(one, need))
    ),
    row("whose clock judges due times and leases", ({ features }) => CLOCKS[features.clock]),
    row("cases passed", ({ passed }) => `${passed}`),
    "",
  ].join("\n");
}

function noOf({ lacks }: Examination, need: Need): string {
  const ability = REASONS[need] ?? need;
  const reason = Object.entries(lacks ?? {}).find(([lack]) => lack === ability)?.[1];
  return reason === undefined ? "no" : `no: ${reason}`;
}
