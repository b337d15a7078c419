/**
 * Metrics: a page for Prometheus, a gauge of your own set to the counts of every queue, and a rate over the last minute.
 *
 * @module
 */

export { type Prometheus, prometheus, type PrometheusOptions } from "./exporter.ts";
export { createThroughput, type Throughput } from "./throughput.ts";
export { type Counted, type WatchOptions, watchQueues } from "./watch.ts";
