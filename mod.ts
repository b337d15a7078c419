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

export type { Admin, AdminOptions, JobPage, ListOptions, ReloadOptions, ValidatedPage } from "./src/admin.ts";
export {
  type Backoff,
  type BackoffOptions,
  type BackoffPolicy,
  exponential,
  type Failure,
  fixed,
  jittered,
  linear,
} from "./src/backoff.ts";
export { type Codec, type Filter, type FilterContext, type Pipeline, raw } from "./src/codec.ts";
export type { HandledJob, HandlerContext } from "./src/context.ts";
export type {
  Fitting,
  HandledOf,
  JobDefinition,
  JobOptions,
  Jobs,
  NameOf,
  PayloadOf,
  SchemaOf,
} from "./src/definitions.ts";
export type { PayloadFault } from "./src/stored_payload.ts";
export type { Health } from "./src/health.ts";
export type { Diagnosis, Finding, Severity } from "./src/diagnosis.ts";
export type {
  BulkJob,
  BulkOptions,
  Dispatch,
  DispatchArguments,
  Dispatched,
  DispatchMany,
  DispatchOptions,
} from "./src/dispatch.ts";
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
export type { EventMap, EventName, JobEvents, ListenOptions, RunDetail, Timed } from "./src/events.ts";
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
} from "./src/exchange.ts";
export type { Groups } from "./src/groups.ts";
export type { Issue } from "./src/issues.ts";
export type { Handle, HandleOptions } from "./src/handle.ts";
export type {
  Channel,
  DeadChannel,
  DeadReason,
  Death,
  ErrorRecord,
  Job,
  QueueInfo,
  StoredJob,
} from "./src/job.ts";
export { json } from "./src/json.ts";
export type { Handler, HandlerFunction, Listener, NamedListeners } from "./src/listeners.ts";
export type { Log, Logger, LogLevel, LogLevels, LogMethod, LogOptions } from "./src/log.ts";
export type { LogFields } from "./src/log_record.ts";
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
} from "./src/middleware.ts";
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
} from "./src/outcome.ts";
export { PayloadVersionError, UnknownKeyError, UpcastError } from "./src/payload_errors.ts";
export type { JobSettings } from "./src/prepare.ts";
export type {
  Advanced,
  DueSchedules,
  NewSchedule,
  Schedule,
  SchedulePage,
  Schedules,
} from "./src/recurring.ts";
export type {
  PauseOptions,
  ScheduleAdmin,
  ScheduleCall,
  ScheduleInfo,
  ScheduleListing,
  ScheduleListOptions,
} from "./src/schedule_admin.ts";
export type { ScheduleOptions } from "./src/schedule_draft.ts";
export type { Scheduled } from "./src/schedule_store.ts";
export type { ListedSchedule, Synced, SyncOptions } from "./src/schedule_sync.ts";
export type { RelaySchedules, ScheduleJob } from "./src/scheduler.ts";
export type { Missed, Overlap, Rest, WrittenWhen } from "./src/schedules/text.ts";
export { createRelay, type Relay } from "./src/relay.ts";
export type { RelayOptions } from "./src/relay_options.ts";
export {
  after,
  at,
  every,
  type Next,
  type Recurrence,
  type RecurrenceKind,
  type StoredRecurrence,
  type Tick,
} from "./src/schedule.ts";
export type { PrintLevel, Runtime } from "./src/runtime.ts";
export type { InputOf, OutputOf, SchemaIssue, SchemaResult, StandardSchema } from "./src/schema.ts";
export type { Flaw } from "./src/sound.ts";
export type { Features, Limits, Topics, Transactions, Transport } from "./src/transport.ts";
export { type BrokerOptions, fromBroker } from "./src/transports/broker.ts";
export type { Publish } from "./src/transports/broker/publish.ts";
export type { Receive, Subscribe, Unsubscribe } from "./src/transports/broker/subscriptions.ts";
export { memory, type MemoryOptions } from "./src/transports/memory.ts";
export { from, type Upcast, type UpcastSteps } from "./src/version.ts";
export type { DrainOptions } from "./src/worker/drain.ts";
export type { WorkerOptions } from "./src/worker/settings.ts";
export type { Drained } from "./src/worker/state.ts";
export type { RunOptions, StopOptions, Worker } from "./src/worker/worker.ts";
