/**
 * What the README must say, as the suite and the code say it: its tables, and its programs. `npm run readme` writes
 * the tables, and a house test compares them.
 */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { table } from "../../../scripts/lib/runtimes.mjs";
import { suites } from "../../../scripts/lib/suites.mjs";
import * as defaults from "../../../src/defaults.ts";
import { allCases, has } from "../../../src/testing/conformance/conformance.ts";
import { type Examination, examine, featureTable, type Subject } from "../../../src/testing/mod.ts";
import { natsServer, natsSubject } from "../../server/support/nats_subjects.ts";
import { redisServerSubject } from "../../server/support/redis_subjects.ts";
import { fakeSqliteSubject } from "../../server/support/subjects.ts";
import { memorySubject } from "../../web/support/subjects.ts";
import { FLAGS } from "../../workerd/support/flags.ts";

/** Every shipped transport that needs no server, in the order of the table's columns. */
const EMBEDDED: readonly (() => Subject)[] = [memorySubject, fakeSqliteSubject];

/** Those that need one. The suites of tests/brokers examine them in the same run, and fail it where a case does. */
const SERVED: readonly (() => Subject)[] = [
  () => redisServerSubject("Redis", noServer),
  () => natsSubject("NATS", natsServer(noServer)),
];

function noServer(): Promise<never> {
  return Promise.reject(new Error("No server is started for a table"));
}

type Constant = keyof typeof defaults;
/** What nobody sets. */
const FIXED = "fixed";

type Unit = "ms" | "bytes" | "count" | "part" | "text";

/** Where each default is set, and its unit. */
const LIMITS: Readonly<Record<Constant, readonly [where: string, unit: Unit]>> = {
  BINDING_CHECK: [FIXED, "ms"],
  CONCURRENCY: ["worker: `concurrency`", "count"],
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

/** The README with every table written anew. */
export async function withTables(readme: string): Promise<string> {
  const tables: readonly (readonly [string, string])[] = [
    ["transports", await transports()],
    ["runtimes", runtimes()],
    ["limits", limits()],
  ];
  return tables.reduce((text, [name, rows]) => {
    const [before, rest] = parted(text, `<!-- table:${name} -->\n`);
    const [, after] = parted(rest, `<!-- /table:${name} -->`);
    return `${before}<!-- table:${name} -->\n${rows}<!-- /table:${name} -->${after}`;
  }, readme);
}

function parted(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`The README must have the line ${mark.trim()}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

/** A column for each transport, but for the count of cases, which would change with every case that is written. */
async function transports(): Promise<string> {
  const examined = await Promise.all(EMBEDDED.map((subject) => examine(subject())));
  const declared = SERVED.map((subject) => examinedElsewhere(subject()));
  return featureTable([...examined, ...declared]).replace(/^\| cases passed .*\n/m, "");
}

/** What an examination comes to in which every case passed. */
function examinedElsewhere(subject: Subject): Examination {
  const cases = allCases(subject);
  return {
    name: subject.name,
    features: subject.features,
    groups: new Map(cases.map(({ group }) => [group, true])),
    needs: new Map(cases.flatMap(({ needs }) => needs).map((need) => [need, has(subject, need)])),
    passed: 0,
    failures: [],
  };
}

/** A row for each runtime: what its suites run. */
function runtimes(): string {
  const rows = suites.filter(({ name }) => name in table).map(({ name }) => {
    const folders = suites.flatMap((suite) => (suite.runtime ?? suite.name) === name ? suite.folders : []);
    const [runtime = "", version = ""] = table[name as keyof typeof table].title.split(" ");
    const title = runtime === "workerd" ? runtime : `${runtime[0]?.toUpperCase()}${runtime.slice(1)}`;
    const runs = (folder: string): string => folders.includes(folder) ? "yes" : "no";
    const servers = runs("tests/server/");
    const reached = (way: keyof typeof FLAGS): string => {
      if (runtime !== "workerd") return servers;
      return FLAGS[way].length === 0
        ? "yes"
        : `with ${
          FLAGS[way].map((flag) => `\`${flag}\``).join(" and ")
        }, the default from compatibility date 2026-08-04`;
    };
    const cells = [title, version, runs("tests/web/"), servers, reached("tcp"), reached("webSocket")];
    return `| ${cells.join(" | ")} |\n`;
  });
  const columns = [
    "runtime",
    "tested with",
    "core and memory",
    "SQLite",
    "Redis, NATS",
    "NATS over WebSocket",
  ];
  return `| ${columns.join(" | ")} |\n|${"---|".repeat(columns.length)}\n${rows.join("")}`;
}

/** A row for each constant of src/defaults.ts, in its order and by its comment. */
function limits(): string {
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

/** A program of a page. */
export interface Program {
  /** The heading that it stands under. */
  readonly title: string;
  readonly code: string;
  /** What it prints, where the page says so in a block right behind it. */
  readonly output: string | undefined;
}

/** Every TypeScript block, in order. */
export function programs(page: string): readonly Program[] {
  const blocks = page.matchAll(/^(#+ .+)$|^```ts\n([^]*?)^```\n(?:\n```text\n([^]*?)^```\n)?/gm);
  const found: Program[] = [];
  let title = "";
  for (const [, heading, code, output] of blocks) {
    if (heading !== undefined) title = heading.replace(/^#+ /, "");
    if (code !== undefined) found.push({ title, code, output });
  }
  return found;
}
