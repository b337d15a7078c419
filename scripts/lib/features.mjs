/* @ts-self-types="./features.d.mts" */
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { inRepository, root } from "./paths.mjs";

/** The features and the weak points of other systems, one a line: row, what it is, how it is written here, a note. */
const list = "scripts/features.txt";
/** Which tests with rows in their names passed, and in which suites and on which transports; committed. */
const results = "tests/features.json";

/** The rows that there are. */
export const NUMBERS = "F001 to F038, F040 to F089, F100 to F150, F160 to F172, F180 to F188, " +
  "W01 to W27, W30 to W44, W50 to W74, W80 to W103";

const ROW = /\b[FW]\d{2,3}\b/g;
const RANGE = /\b([FW])(\d{2,3}) to \1(\d{2,3})\b/g;
const TRANSPORTS = [["SQLite", /sqlite/i], ["Redis", /redis|valkey/i], ["NATS", /nats/i], [
  "bridge",
  /broker/,
]];

/** What waits, by the word of its note. */
const WAITS = {
  postgres: "waits for the Postgres transport",
  dashboard: "waits for the dashboard",
  later: "waits for a later version",
};

/** The rows that a text names; `F004 to F007` names four. */
export function rowsIn(text) {
  const rows = new Set(text.match(ROW) ?? []);
  for (const [, kind, first, last] of text.matchAll(RANGE)) {
    for (let row = Number(first); row <= Number(last); row++) {
      rows.add(`${kind}${String(row).padStart(first.length, "0")}`);
    }
  }
  return [...rows].sort();
}

/** Every row, in order. */
export function readRows() {
  return readFileSync(inRepository(list), "utf8").trimEnd().split("\n").map((line) => {
    const [row, what, how, note] = line.split(" | ");
    if (how !== undefined && !how.startsWith("waits: ")) return { row, what, how, note };
    return { row, what, how: undefined, note: how };
  });
}

/** The committed results. */
export function readResults() {
  return JSON.parse(readFileSync(inRepository(results), "utf8"));
}

/**
 * The names in what vitest wrote that name rows, and passed: of a test, or of a group whose tests all passed. With the
 * transports that they ran on, as the file's path or the names around them say.
 */
export function passedIn(report) {
  const passed = new Map();
  const broken = new Set();
  for (const { name: path, assertionResults } of report.testResults) {
    const file = relative(root, path).replaceAll("\\", "/");
    for (const { ancestorTitles, title, status } of assertionResults) {
      const titles = [...ancestorTitles, title];
      for (const name of titles.filter((each) => rowsIn(each).length > 0)) {
        if (status !== "passed") broken.add(name);
        else passed.set(name, (passed.get(name) ?? new Set()).add(transportOf(file, titles)));
      }
    }
  }
  for (const name of broken) passed.delete(name);
  return passed;
}

function transportOf(file, titles) {
  for (const text of [file, titles.join(" ")]) {
    const found = TRANSPORTS.find(([, pattern]) => pattern.test(text));
    if (found !== undefined) return found[0];
  }
  return file.startsWith("tests/web/") ? "memory" : "";
}

/** The transports of a text that {@linkcode shorten} wrote, each with its suites. */
export function partsOf(text) {
  return text.split(", ").map((part) => {
    const [transport, suites = ""] = part.split(": ");
    return [transport === "-" ? "" : transport, suites.split(" ")];
  });
}

/** The page: every row with how it is written, the tests that show it, and where they ran. */
export function pageOf(rows, { date, complete, suites, tests }) {
  const shown = new Map();
  for (const name of Object.keys(tests)) {
    for (const row of rowsIn(name)) shown.set(row, [...shown.get(row) ?? [], name]);
  }
  const run = complete
    ? `the complete run of ${date} (\`npm test -- --all\`)`
    : `runs of these suites up to ${date}: ${suites.join(", ")}`;
  const table = (kind) =>
    rows.filter(({ row }) => row.startsWith(kind)).map((row) => lineOf(row, shown, tests));
  return `# Features

Every feature that Relevo was asked for, and every weak point of the systems that it learned from: how it is written here, the tests that show it, and the transports that they ran on. This page is made by \`npm run features\` of [the list](../scripts/features.txt) and of ${run}; \`npm run check\` compares them.

"-" stands for tests that need no transport, or that say themselves which one; "bridge" is \`fromBroker\`.

## Features

| row | what | how | shown by | on |
|---|---|---|---|---|
${table("F").join("\n")}

## Weak points, and what is done about them

| row | what goes wrong elsewhere | here | shown by | on |
|---|---|---|---|---|
${table("W").join("\n")}
`;
}

function lineOf({ row, what, how, note }, shown, tests) {
  const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
  const names = shown.get(row) ?? [];
  const on = new Set(names.flatMap((name) => partsOf(tests[name]).map(([transport]) => transport || "-")));
  const order = ["memory", "SQLite", "Redis", "NATS", "bridge", "-"];
  const where = order.filter((each) => on.has(each) && (each !== "-" || on.size === 1));
  const here = how === undefined ? waiting(note) : code(how) + better(note);
  return `| ${row} | ${cell(what)} | ${here} | ${names.map(cell).join("<br>")} | ${where.join(", ")} |`;
}

/** What a row waits for, and what there is of it. */
function waiting(note) {
  const [word, ...more] = note.slice("waits: ".length).split("; ");
  return [WAITS[word], ...more].join("; ");
}

/** The example of what is met in another way. */
function better(note) {
  const example = note?.startsWith("better: ") ? note.slice("better: ".length) : undefined;
  return example === undefined ? "" : `; met in another way: [${example}](../${example})`;
}

/** Code stands as it is, but for what would end a cell. */
function code(text) {
  return text.replaceAll("|", "\\|");
}
