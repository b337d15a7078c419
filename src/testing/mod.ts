/**
 * For tests: a relay whose clock the test moves, a check that a handler bears a second run, the suite that every
 * transport must pass, and the checker of histories.
 *
 * @example
 * ```ts
 * import { testRelay } from "@relevo/relevo/testing";
 * import * as v from "valibot";
 *
 * await using relay = testRelay({ reminder: v.object({}) });
 * relay.handle("reminder", () => {});
 * await relay.dispatch("reminder", {}, { delay: 86_400_000 });
 * console.log((await relay.advance(86_400_000)).completed); // 1
 * ```
 *
 * @module
 */

export { conformance } from "./conformance/conformance.ts";
export { type Examination, examine, type FailedCase, featureTable } from "./conformance/report.ts";
export type {
  Ability,
  Case,
  ForeignEntry,
  Need,
  Subject,
  SubjectTransaction,
} from "./conformance/subject.ts";
export {
  createFakeRuntime,
  type FakeRuntime,
  type FakeRuntimeOptions,
  type Outside,
} from "./fake_runtime.ts";
export type { JobRun } from "./kit/ends.ts";
export { expectIdempotent, type Idempotence, type IdempotenceOptions } from "./kit/idempotent.ts";
export type { DispatchedJob } from "./kit/outbox.ts";
export type { RunJobOptions } from "./kit/run_job.ts";
export { type TestRelay, testRelay, type TestRelayOptions, type Wanted } from "./kit/test_relay.ts";
export { expectUpcasts, type Samples } from "./kit/upcasts.ts";
export { checkHistory, type CheckOptions, readLedger } from "./history.ts";
export type {
  AroundLine,
  BufferLine,
  DispatchLine,
  EndLine,
  ExtendLine,
  HistoryLine,
  InfoLine,
  JobLine,
  LeftLine,
  LineBase,
  MetricLine,
  OperateLine,
  RunLine,
  SettleLine,
  StartLine,
  StopLine,
  TickLine,
  Violation,
} from "./history/lines.ts";
