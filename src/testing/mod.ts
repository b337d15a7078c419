/**
 * For tests: a clock that is moved by hand, the suite that every transport must pass, and the checker of histories.
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
