/**
 * What the README must say, as the suite and the code say it: its tables, and its programs. `npm run readme` writes
 * the tables, and a house test compares them.
 */
import { table } from "../../../scripts/lib/runtimes.mjs";
import { suites } from "../../../scripts/lib/suites.mjs";
import { allCases, has } from "../../../src/testing/conformance/conformance.ts";
import { type Examination, featureTable, type Subject } from "../../../src/testing/mod.ts";
import { natsServer, natsSubject } from "../../server/support/nats_subjects.ts";
import { redisServerSubject } from "../../server/support/redis_subjects.ts";
import { fakeSqliteSubject } from "../../server/support/subjects.ts";
import { memorySubject } from "../../web/support/subjects.ts";
import { FLAGS } from "../../workerd/support/flags.ts";

/**
 * Every shipped transport, in the order of the table's columns. Suites examine each in the same run, and fail it where a
 * case does: tests/web/ those in memory, tests/stores/ those in a file, tests/brokers/ those on servers.
 */
const SHIPPED: readonly (() => Subject)[] = [
  memorySubject,
  fakeSqliteSubject,
  () => redisServerSubject("Redis", noServer),
  () => natsSubject("NATS", natsServer(noServer)),
];

function noServer(): Promise<never> {
  return Promise.reject(new Error("No server is started for a table"));
}

/** The README with every table written anew. */
export function withTables(readme: string): string {
  const tables: readonly (readonly [string, string])[] = [
    ["transports", transports()],
    ["runtimes", runtimes()],
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
function transports(): string {
  return featureTable(SHIPPED.map((subject) => examinedElsewhere(subject())))
    .replace(/^\| cases passed .*\n/m, "");
}

/** What an examination comes to in which every case passed. */
function examinedElsewhere(subject: Subject): Examination {
  const cases = allCases(subject);
  return {
    name: subject.name,
    features: subject.features,
    lacks: subject.lacks,
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
