/**
 * Metrics: a page for Prometheus, a gauge of your own set to the counts of every queue, and a rate over the last minute.
 *
 * @example
 * ```ts
 * import { createRelay } from "@relevo/relevo";
 * import { prometheus } from "@relevo/relevo/prometheus";
 *
 * const relay = createRelay({ jobs: {} });
 * using metrics = prometheus(relay);
 * console.log(metrics.fetch().headers.get("content-type")); // text/plain; version=0.0.4; charset=utf-8
 * await relay.close();
 * ```
 *
 * @module
 */

export { type Prometheus, prometheus, type PrometheusOptions } from "./exporter.ts";
export { createThroughput, type Throughput } from "./throughput.ts";
export { type Counted, type WatchOptions, watchQueues } from "./watch.ts";
