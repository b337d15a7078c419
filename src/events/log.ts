/**
 * The log: faults, told on the console until the program listens itself, or everything, told to a logger. A
 * line names job, id and queue, and never a payload.
 *
 * @module
 */

import type { Alarm, Alarms } from "../flow/alarms.ts";
import { messageOf } from "../errors.ts";
import { type EventMap, type EventName, type Events, observe, type Report } from "./events.ts";
import { type LogFields, plain, recordOf } from "./log_record.ts";
import { checkKnown, checkWord, quote, wrongType } from "../options.ts";
import { isPromise } from "../promises.ts";
import type { PrintLevel, Runtime } from "../runtime.ts";

/** How urgent an entry is, from the least to the most. */
export type LogLevel = PrintLevel;

/** One method of a logger; its result is not waited for. */
export type LogMethod = (message: string, fields: LogFields) => unknown;

/** A logger of the program's: a method for each level, which gets a sentence and its facts. */
export interface Logger {
  /** Told of events that only developers look for. */
  readonly debug: LogMethod;
  /** Told of events that are as they should be, and worth a line. */
  readonly info: LogMethod;
  /** Told of events that may become a fault. */
  readonly warn: LogMethod;
  /** Told of faults. */
  readonly error: LogMethod;
}

/** At which level each event is logged; `false`: it is not. */
export type LogLevels = { readonly [Name in EventName]?: LogLevel | false | undefined };

/** The options of a log. */
export interface LogOptions {
  /** Gets every entry. Default: one line each on the console, of events that the program does not listen to. */
  readonly logger?: Logger | undefined;
  /** Other levels than the default ones, by event. */
  readonly levels?: LogLevels | undefined;
}

/** The `log` of a relay: `false` is silent. */
export type Log = false | Logger | LogOptions;

/** The relay's end of its log. */
export interface Logbook {
  /** Told of errors that no event can tell. */
  readonly report: Report;
  /** Begins to log these events. */
  follow(events: Events): void;
  /** Prints the counts of the current second; leaves no timer behind. */
  close(): void;
}

/** The levels of the console: events of jobs that are lost or dead, and faults. */
const CONSOLE: LogLevels = { failed: "error", error: "error", connection: "warn", queue: "warn" };

/** The levels of a logger (seed 004). */
const LOGGER: LogLevels = {
  dispatched: "debug",
  started: "debug",
  completed: "debug",
  rescheduled: "debug",
  released: "debug",
  retrying: "error",
  failed: "error",
  lost: "warn",
  stale: "warn",
  stuck: "warn",
  connection: "warn",
  tick: "debug",
  missed: "warn",
  queue: "warn",
  error: "error",
};

/** Lines of one type within one second; more are only counted. */
const MAX_LINES = 10;
const SECOND = 1_000;

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Writes an entry; `heard`: the program listens to its type. */
type Write = (level: LogLevel, fields: LogFields, message: string, heard: boolean) => void;

/**
 * Makes the log of a relay.
 *
 * @throws {TypeError} for a value that is no log.
 */
export function createLogbook(log: Log | undefined, runtime: Runtime, alarms: Alarms): Logbook {
  const { logger, levels } = readLog(log);
  const silent = log === false || (logger === undefined && runtime.print === undefined);
  if (silent) return { report: () => undefined, follow: () => undefined, close: () => undefined };
  const lines = createLines(runtime, alarms);
  const write = logger === undefined ? lines.write : writerTo(logger, runtime);
  const chosen = { ...(logger === undefined ? CONSOLE : LOGGER), ...levels };
  return {
    report(type, thrown) {
      const message = `a listener of '${type}' failed: ${plain(messageOf(thrown))}`;
      write("error", { event: "error" }, message, false);
    },
    follow(events) {
      for (const type of Object.keys(chosen) as EventName[]) {
        const level = chosen[type];
        if (level !== undefined && level !== false) followOne(events, type, level, write);
      }
    },
    close: lines.close,
  };
}

function followOne<Name extends EventName>(events: Events, type: Name, level: LogLevel, write: Write): void {
  observe(events.target, type, (detail: EventMap[Name]) => {
    const { message, fields, calm } = recordOf(type, detail);
    write(calm ? "info" : level, fields, message, events.attended(type));
  });
}

/** Writes to a logger of the program's: one that fails changes no job's fate, and is told on the console. */
function writerTo(logger: Logger, runtime: Runtime): Write {
  const failed = (thrown: unknown): void =>
    runtime.print?.("error", `relevo: the logger failed: ${plain(messageOf(thrown))}`);
  return (level, fields, message) => {
    try {
      const result = logger[level](message, fields);
      if (isPromise(result)) result.then(undefined, failed);
    } catch (error) {
      failed(error);
    }
  };
}

/** Lines on the console: so many of a type in one second, and then their count. */
function createLines(
  runtime: Runtime,
  alarms: Alarms,
): { readonly write: Write; readonly close: () => void } {
  const windows = new Map<string, { readonly until: number; printed: number; more: number; alarm?: Alarm }>();
  const count = (type: string): void => {
    const { more = 0, alarm } = windows.get(type) ?? {};
    windows.delete(type);
    alarm?.cancel();
    if (more > 0) runtime.print?.("warn", `relevo ${type}: ${more} more within a second`);
  };
  return {
    write(level, { event }, message, heard) {
      if (heard) return;
      const now = runtime.monotonic();
      let window = windows.get(event);
      if (window !== undefined && now >= window.until) {
        count(event);
        window = undefined;
      }
      window ??= { until: now + SECOND, printed: 0, more: 0 };
      windows.set(event, window);
      if (window.printed++ < MAX_LINES) return runtime.print?.(level, `relevo ${event}: ${message}`);
      if (window.more++ > 0) return;
      window.alarm = alarms.set(window.until - now, () => count(event));
    },
    close() {
      for (const type of [...windows.keys()]) count(type);
    },
  };
}

function readLog(log: unknown): LogOptions {
  const action = "make a relay";
  if (log === undefined || log === false) return {};
  if (typeof log !== "object" || log === null) {
    throw wrongType(action, "'log'", "false, a logger or options", log);
  }
  if (isLogger(log)) return { logger: log };
  checkKnown(action, log, ["logger", "levels"]);
  const { logger, levels = {} }: { readonly logger?: unknown; readonly levels?: LogLevels } = log;
  if (logger !== undefined && !isLogger(logger)) {
    throw new TypeError(
      `Cannot ${action} as 'logger' must have the methods ${LEVELS.join(", ")}: current value is ${
        quote(logger)
      }`,
    );
  }
  checkKnown(action, levels, [...Object.keys(LOGGER), "idle"]);
  for (const [type, level] of Object.entries(levels)) {
    if (level !== false && level !== undefined) checkWord(action, `levels.${type}`, level, LEVELS);
  }
  return { logger, levels };
}

function isLogger(value: unknown): value is Logger {
  return LEVELS.every((level) => typeof Reflect.get(Object(value), level) === "function");
}
