/**
 * The table of defaults and limits, from src/defaults.ts: by its order and its comments.
 */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import * as defaults from "../../../src/defaults.ts";

type Constant = keyof typeof defaults;
/** A number that no option sets. */
const FIXED = "fixed";

type Unit = "ms" | "bytes" | "count" | "part" | "text";

/** Where each default is set, and its unit. */
const LIMITS: Readonly<Record<Constant, readonly [where: string, unit: Unit]>> = {
  BINDING_CHECK: [FIXED, "ms"],
  CONCURRENCY: ["worker: `concurrency`", "count"],
  MAX_CONCURRENCY: [FIXED, "count"],
  POLL: ["worker: `poll`", "ms"],
  LEASE: ["worker: `lease`", "ms"],
  HEARTBEAT_PART: [FIXED, "part"],
  GRACE: ["worker: `grace`", "ms"],
  ABORT_GRACE: ["worker: `abortGrace`", "ms"],
  CALL_TIMEOUT: ["relay: `callTimeout`", "ms"],
  MAX_ATTEMPTS: ["dispatch, job: `maxAttempts`; worker: `maxRetry`", "count"],
  BACKOFF_BASE: ["`exponential(base)`", "ms"],
  BACKOFF_MAX: ["backoffs: `max`", "ms"],
  BACKOFF_JITTER: ["backoffs: `jitter`", "part"],
  MAX_LOST: ["worker: `maxLost`", "count"],
  ID_WINDOW: ["dispatch: `idWindow`", "ms"],
  UNKNOWN_FOR: ["worker: `unknownFor`", "ms"],
  UNKNOWN_DELAY_MIN: [FIXED, "ms"],
  UNKNOWN_DELAY_MAX: [FIXED, "ms"],
  MAX_META: [FIXED, "bytes"],
  MAX_META_DEPTH: [FIXED, "count"],
  MAX_PAYLOAD: ["relay: `maxPayload`", "bytes"],
  MAX_INFLATED: ["`gzip`: `maxInflated`", "bytes"],
  COMPRESS_FROM: [FIXED, "bytes"],
  MAX_FILTERING: [FIXED, "count"],
  MAX_DEPTH: [FIXED, "count"],
  META_RESERVE: [FIXED, "bytes"],
  MAX_ERROR_TEXT: [FIXED, "bytes"],
  MAX_BULK: [FIXED, "count"],
  MAX_ID: [FIXED, "bytes"],
  MAX_REMEMBERED: [FIXED, "bytes"],
  MAX_NAME: [FIXED, "bytes"],
  MAX_HEADERS: [FIXED, "bytes"],
  MAX_DELAY: [FIXED, "ms"],
  MAX_PREFETCH: ["worker: `prefetch`", "count"],
  MAX_UNSETTLED: [FIXED, "count"],
  MAX_BATCH: [FIXED, "count"],
  MAX_BATCH_BYTES: [FIXED, "bytes"],
  PAGE: ["`list`: `limit`", "count"],
  MAX_PAGE: [FIXED, "count"],
  PREVIEW: [FIXED, "bytes"],
  QUEUE: ["job, dispatch: `queue`", "text"],
};

/** A row for each constant of src/defaults.ts, in its order and by its comment. */
export function limits(): string {
  const source = readFileSync(inRepository("src/defaults.ts"), "utf8");
  const rows = [...source.matchAll(/\/\*\* (.+?)\.? \*\/\nexport const (\w+)/g)].map(([, comment, name]) => {
    if (name === undefined || !(name in LIMITS)) throw new Error(`LIMITS must say where ${name} is set`);
    const [where, unit] = LIMITS[name as Constant];
    return `| ${comment} | ${where} | ${written(defaults[name as Constant], unit)} |\n`;
  });
  if (rows.length !== Object.keys(defaults).length) {
    throw new Error("Each constant must have a comment of one line");
  }
  return `| | set by | default or limit |\n|---|---|---|\n${rows.join("")}`;
}

function written(value: number | string, unit: Unit): string {
  if (typeof value === "string") return `\`${value}\``;
  if (unit === "part") return value === 1 / 3 ? "1/3" : `${value}`;
  const number = value.toLocaleString("en-US");
  if (unit === "count") return number;
  const scale = unit === "bytes" ? BYTES : TIMES;
  const [size = 1, name = ""] = scale.find(([least]) => value >= least) ?? [];
  const rounded = Math.round(value / size * 10) / 10;
  return name === unit || rounded === value ? `${number} ${unit}` : `${number} ${unit} (${rounded} ${name})`;
}

const BYTES = [[2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "bytes"]] as const;
const TIMES = [
  [365.25 * 86_400_000, "years"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
  [1, "ms"],
] as const;
