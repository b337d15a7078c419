/**
 * Metrics for Prometheus: the events of relays and the counts of their queues, as a page that is scraped.
 *
 * @module
 */

import type { Jobs } from "../jobs/definitions.ts";
import { type Channel, CHANNELS } from "../jobs/job.ts";
import { checkKnown, checkRelay, checkTime } from "../options.ts";
import type { Relay } from "../relay/relay.ts";
import { type Runtime, systemRuntime } from "../runtime.ts";
import { createRuns } from "./runs.ts";
import { MAX_SERIES } from "./series.ts";
import { CONTENT_TYPE, exposition, type Family } from "./text.ts";
import { INTERVAL, look, type Reading } from "./watch.ts";

/** Readings older than so many intervals are left out. */
const STALE_AFTER = 3;

/** How metrics are made. */
export interface PrometheusOptions {
  /** Milliseconds between two looks at the queues; a scrape never asks the store. Default 15,000. */
  readonly interval?: number | undefined;
  /** Clock and timers; for tests. Default: the real ones. */
  readonly runtime?: Runtime | undefined;
}

/** Metrics of some relays. */
export interface Prometheus extends Disposable {
  /** Answers a scrape: a handler of requests for any server; another method than GET is answered 405. */
  readonly fetch: (request?: Request) => Response;
  /** The page itself. */
  text(): string;
}

/**
 * Counts the events of relays from now on, and looks at their queues in every interval. The same relay given twice
 * counts once; several workers of a process share their relay's metrics (seed 004).
 *
 * Two stores that have a queue of one name are not told apart: its gauges show the larger count of each channel. Give each
 * store a page of its own, by a call of its own.
 *
 * At most 1,000 pairs of a queue and a job's name, and 1,000 queues, are told apart: the rest are `other`.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { prometheus } from "@relevo/relevo/prometheus";
 *
 * const relay = createRelay({ jobs: {} });
 * using metrics = prometheus(relay);
 * // Deno.serve(metrics.fetch), Bun.serve({ fetch: metrics.fetch })
 * console.log(metrics.text().includes("relevo_errors_total 0")); // true
 * await relay.close();
 * ```
 *
 * @throws {TypeError | RangeError} for a value that is no relay, and for options that are wrong.
 */
export function prometheus<J extends Jobs>(
  relays: Relay<J> | readonly Relay<Jobs>[],
  options: PrometheusOptions = {},
): Prometheus {
  const action = "make metrics";
  checkKnown(action, options, ["interval", "runtime"]);
  const { interval = INTERVAL, runtime = systemRuntime() } = options;
  checkTime(action, "interval", interval, 1);
  const all = [...new Set<Relay<Jobs>>(isList(relays) ? relays : [relays])];
  for (const each of all) checkRelay(action, "a relay, or a list of them", each);
  const runs = createRuns(runtime.monotonic);
  /** The last readings, by the store that it was read from: two relays of one transport read the same. */
  const readings = new Map<object, { readonly at: number; readonly queues: readonly Reading[] }>();
  const watches: Disposable[] = [];
  for (const relay of all) {
    runs.hear(relay.events);
    if (readings.has(relay.transport)) continue;
    readings.set(relay.transport, { at: -Infinity, queues: [] });
    const tell = (queues: readonly Reading[]): void =>
      void readings.set(relay.transport, { at: runtime.monotonic(), queues });
    watches.push(look(relay, runtime, interval, tell, () => undefined));
  }

  function text(): string {
    const oldest = runtime.monotonic() - STALE_AFTER * interval;
    const fresh = [...readings.values()].filter(({ at }) => at >= oldest).flatMap(({ queues }) => queues);
    return exposition([...runs.families(), ...familiesOf(byQueue(fresh), runs.perMinute)]);
  }

  return {
    text,
    fetch(request) {
      if (request !== undefined && request.method !== "GET" && request.method !== "HEAD") {
        return new Response("the method must be GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
      }
      return new Response(text(), { headers: { "content-type": CONTENT_TYPE, "cache-control": "no-store" } });
    },
    [Symbol.dispose]() {
      runs[Symbol.dispose]();
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}

function isList<J extends Jobs>(relays: Relay<J> | readonly Relay<Jobs>[]): relays is readonly Relay<Jobs>[] {
  return Array.isArray(relays);
}

/**
 * One reading of each queue, of which two transports may tell: two connections to one store read the same, so that a sum
 * would count each job twice. Of two samples of one name and labels Prometheus drops one.
 */
function byQueue(readings: readonly Reading[]): readonly Reading[] {
  const queues = Map.groupBy(readings, ({ queue }) => queue);
  return [...queues].map(([queue, same]) => {
    const most = (channel: Channel): number => Math.max(...same.map((reading) => reading[channel]));
    return {
      queue,
      waiting: most("waiting"),
      delayed: most("delayed"),
      reserved: most("reserved"),
      failed: most("failed"),
      timeout: most("timeout"),
      oldest: Math.max(...same.map(({ oldest = 0 }) => oldest)),
    };
  });
}

function familiesOf(all: readonly Reading[], perMinute: (queue: string) => number): readonly Family[] {
  const readings = all.length <= MAX_SERIES
    ? all
    : [...all.slice(0, MAX_SERIES), sumOf(all.slice(MAX_SERIES))];
  return [
    {
      name: "relevo_queue_jobs",
      help: "Jobs in each channel of a queue.",
      type: "gauge",
      samples: readings.flatMap(({ queue, ...counts }) =>
        CHANNELS.map((channel) => ({ labels: { queue, channel }, value: counts[channel] }))
      ),
    },
    {
      name: "relevo_queue_oldest_wait_seconds",
      help: "How long the oldest waiting job of a queue has been due; 0 when none waits.",
      type: "gauge",
      samples: readings.map(({ queue, oldest = 0 }) => ({ labels: { queue }, value: oldest / 1_000 })),
    },
    {
      name: "relevo_queue_drain_seconds",
      help:
        "How long this process alone would take for what waits, at its rate of the last minute; +Inf at none.",
      type: "gauge",
      samples: readings.map(({ queue, waiting }) => ({
        labels: { queue },
        value: waiting === 0 ? 0 : waiting / perMinute(queue) * 60,
      })),
    },
  ];
}

/** Queues beyond those that are told apart, as one. */
function sumOf(readings: readonly Reading[]): Reading {
  const sum: Record<Channel, number> = { waiting: 0, delayed: 0, reserved: 0, failed: 0, timeout: 0 };
  let longest = 0;
  for (const { oldest = 0, ...counts } of readings) {
    for (const channel of CHANNELS) sum[channel] += counts[channel];
    longest = Math.max(longest, oldest);
  }
  return { queue: "other", ...sum, oldest: longest };
}
