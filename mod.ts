/**
 * Relevo: typed jobs, dispatched anywhere, handled anywhere, over the broker that you already have.
 *
 * This entry point holds the core and the memory transport. It needs web standards only and depends on nothing.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import * as v from "valibot";
 *
 * const relay = createRelay({ jobs: { welcome: v.object({ userId: v.number() }) } });
 * relay.handle("welcome", ({ userId }) => console.log(`Welcome, user ${userId}`));
 * await relay.dispatch("welcome", { userId: 42 });
 * await relay.drain(); // Welcome, user 42
 * await relay.close();
 * ```
 *
 * @module
 */

export type {
  Admin,
  AdminOptions,
  JobPage,
  ListOptions,
  ReloadOptions,
  ValidatedPage,
} from "./src/relay/admin.ts";
export {
  type Backoff,
  type BackoffOptions,
  type BackoffPolicy,
  exponential,
  type Failure,
  fixed,
  jittered,
  linear,
} from "./src/jobs/backoff.ts";
export { type Codec, type Filter, type FilterContext, type Pipeline, raw } from "./src/payload/codec.ts";
export type { HandledJob, HandlerContext } from "./src/jobs/context.ts";
export type {
  Fitting,
  HandledOf,
  JobDefinition,
  JobOptions,
  Jobs,
  NameOf,
  PayloadOf,
  SchemaOf,
} from "./src/jobs/definitions.ts";
export type { PayloadFault } from "./src/payload/stored_payload.ts";
export type { Health } from "./src/events/health.ts";
export type { Diagnosis, Finding, Severity } from "./src/contract/diagnosis.ts";
export type {
  BulkJob,
  BulkOptions,
  Dispatch,
  DispatchArguments,
  Dispatched,
  DispatchMany,
  DispatchOptions,
} from "./src/relay/dispatch.ts";
export type { ErrorCode } from "./src/error_codes.ts";
export {
  AtomicLimitError,
  type BulkFailure,
  BulkRefusedError,
  DeadlineExceeded,
  DuplicateJobError,
  HeartbeatLate,
  InvalidPayloadError,
  JobTimeout,
  LeaseLost,
  NotCommitted,
  OutcomeUnknown,
  RelayClosed,
  RelevoError,
  TooLargeError,
  TransportBusy,
  TransportClosed,
  TransportError,
  type TransportFault,
  TransportFull,
  UndecodableError,
  UnencodableError,
  UnknownJobError,
  UnknownQueueError,
  UnknownScheduleError,
} from "./src/errors.ts";
export type { EventMap, EventName, JobEvents, ListenOptions, RunDetail, Timed } from "./src/events/events.ts";
export type {
  Call,
  Delivery,
  Entry,
  Extended,
  Extension,
  Held,
  Page,
  PageRequest,
  Pushed,
  PushJob,
  Reloaded,
  ReserveOptions,
  Selection,
  Settled,
  Settlement,
} from "./src/jobs/exchange.ts";
export type { Groups } from "./src/relay/groups.ts";
export type { Issue } from "./src/issues.ts";
export type { Handle, HandleOptions } from "./src/jobs/handle.ts";
export type {
  Channel,
  DeadChannel,
  DeadReason,
  Death,
  ErrorRecord,
  Job,
  QueueInfo,
  StoredJob,
} from "./src/jobs/job.ts";
export { json } from "./src/payload/json.ts";
export type { Handler, HandlerFunction, Listener, NamedListeners } from "./src/jobs/listeners.ts";
export type { Log, Logger, LogLevel, LogLevels, LogMethod, LogOptions } from "./src/events/log.ts";
export type { LogFields } from "./src/events/log_record.ts";
export type {
  AddedBy,
  AddedOf,
  AnyMiddleware,
  AroundDispatch,
  AroundRun,
  DispatchFunction,
  Middleware,
  NextRun,
  OutgoingAnswer,
  OutgoingJob,
  RunFunction,
} from "./src/sides/middleware.ts";
export {
  type Complete,
  complete,
  type DeadLetter,
  deadLetter,
  type DeadLetterOptions,
  type Outcome,
  type Reschedule,
  reschedule,
  type RescheduleOptions,
  type Retry,
  retry,
  type RetryOptions,
} from "./src/jobs/outcome.ts";
export { PayloadVersionError, UnknownKeyError, UpcastError } from "./src/payload/payload_errors.ts";
export type { JobSettings } from "./src/relay/prepare.ts";
export type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
  Schedules,
} from "./src/contract/recurring.ts";
export type {
  PauseOptions,
  ScheduleAdmin,
  ScheduleCall,
  ScheduleInfo,
  ScheduleListing,
  ScheduleListOptions,
} from "./src/relay/schedule_admin.ts";
export type { ScheduleOptions } from "./src/relay/schedule_draft.ts";
export type { Scheduled } from "./src/relay/schedule_store.ts";
export type { ListedSchedule, Synced, SyncOptions } from "./src/relay/schedule_sync.ts";
export type { RelaySchedules, ScheduleJob } from "./src/relay/scheduler.ts";
export type { Missed, Overlap, Rest, WrittenWhen } from "./src/schedules/text.ts";
export { createRelay, type Relay } from "./src/relay/relay.ts";
export type { RelayOptions } from "./src/relay/relay_options.ts";
export {
  after,
  at,
  every,
  type Next,
  type Recurrence,
  type RecurrenceKind,
  type StoredRecurrence,
  type Tick,
} from "./src/jobs/schedule.ts";
export type { PrintLevel, Runtime } from "./src/runtime.ts";
export type { InputOf, OutputOf, SchemaIssue, SchemaResult, StandardSchema } from "./src/payload/schema.ts";
export type { Flaw } from "./src/jobs/sound.ts";
export type {
  Features,
  Lacks,
  Limits,
  Topics,
  Transactions,
  Transport,
  TransportAbility,
} from "./src/contract/transport.ts";
export { type BrokerOptions, fromBroker } from "./src/transports/broker/mod.ts";
export type { Publish } from "./src/transports/broker/publish.ts";
export type { Receive, Subscribe, Unsubscribe } from "./src/transports/broker/subscriptions.ts";
export { memory, type MemoryOptions } from "./src/transports/memory/mod.ts";
export { from, type Upcast, type UpcastSteps } from "./src/payload/version.ts";
export type { DrainOptions } from "./src/worker/drain.ts";
export type { WorkerOptions } from "./src/worker/settings.ts";
export type { Drained } from "./src/worker/state.ts";
export type { RunOptions, StopOptions, Worker } from "./src/worker/worker.ts";
