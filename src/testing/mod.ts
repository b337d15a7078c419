/**
 * For tests: a clock that is moved by hand, a check that a handler bears a second run, the suite that every transport
 * must pass, and the checker of histories.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { createFakeRuntime } from "@relevo/relevo/testing";
 * import * as v from "valibot";
 *
 * const runtime = createFakeRuntime();
 * const relay = createRelay({ jobs: { reminder: v.object({}) }, runtime });
 * relay.handle("reminder", () => {});
 * await relay.dispatch("reminder", {}, { delay: 86_400_000 });
 * await runtime.advance(86_400_000);
 * console.log((await relay.drain()).completed); // 1
 * await relay.close();
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
export { expectIdempotent, type Idempotence, type IdempotenceOptions } from "./kit/idempotent.ts";
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
