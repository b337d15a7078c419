/**
 * `npm test [-- --all [--resume]] [--record] [--runtime node24,deno] [vitest filters]`: what a change needs, or with
 * `--all` the product of servers, ways and runtimes; one line for each suite, the counts of all of them last. Ends with an
 * error when a test failed, nothing ran or, with CI=true, one was skipped. `--record` keeps which storms passed, and which
 * rows of docs/features.md were shown, as a complete green run does by itself. `--resume` goes on where an earlier `--all`
 * stopped: suites that passed at this very commit, with no file changed since, are counted as they were then, and told so.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { passedIn } from "./lib/features.mjs";
import { install } from "./lib/install.mjs";
import { openKept } from "./lib/kept.mjs";
import { inRepository, root } from "./lib/paths.mjs";
import { digestOf, hasChanged, readRecord, writeRecord } from "./lib/record.mjs";
import { countsOf, line } from "./lib/report.mjs";
import { run } from "./lib/run.mjs";
import { toolNode } from "./lib/runtimes.mjs";
import { prepareServers } from "./lib/servers.mjs";
import { commandOf, suites, titleOf } from "./lib/suites.mjs";

const { chosen, filters, all, record, resume } = options(process.argv.slice(2));
// Of a part of the suites a run adds to what others kept; a whole one begins anew unless it is to go on.
const kept = openKept(root, resume || chosen.length < suites.length);
if (resume && !(all && filters.length === 0 && kept.tree !== undefined)) {
  console.error("Cannot resume: it wants --all, no filters, and a working tree without changes");
  process.exit(2);
}
install("tests/runtimes", "the runtimes to test on (Node 22, 24, 26, Deno, Bun, workerd)");
if (chosen.some(({ name }) => name === "least")) {
  install("tests/least", "the least versions of Node, Deno and Bun that the package promises to run on");
}
if (!install("", "the development dependencies", { node: toolNode() })) process.exit(1);
for (const { name, why } of prepareServers()) {
  console.log(`SKIPPED: whatever needs the server '${name}', which cannot be had here: ${why}`);
}

/** Of the files as they are before anything runs. */
const storms = Object.fromEntries(
  suites.flatMap(({ storms }) => storms === undefined ? [] : [[storms, digestOf(storms)]]),
);
/** Those that passed now. */
const calm = {};
const total = { passed: 0, failed: 0, skipped: 0 };
const folder = mkdtempSync(join(tmpdir(), "relevo-test-"));
/** Of each suite the names of tests that name rows, and passed. */
const shown = {};
// One that goes by the real clock at a time, and one that does not beside it: two cores have the work of both.
await Promise.all([
  runInTurn(chosen.filter(({ beside }) => !beside)),
  runInTurn(chosen.filter(({ beside }) => beside)),
]);
rmSync(folder, { recursive: true, force: true });

const complete = all && chosen.length === suites.length && filters.length === 0 &&
  total.failed + total.skipped === 0;
if (complete) keepRecord();
else if (record && filters.length === 0) keepStorms();
if (complete || record) await keepFeatures();

const nothing = total.passed + total.failed === 0;
if (nothing) console.log("Nothing ran, which counts as a failure.");
console.log(line(total));
const incomplete = process.env.CI === "true" && total.skipped > 0;
process.exit(total.failed > 0 || nothing || incomplete ? 1 : 0);

async function runInTurn(suites) {
  for (const suite of suites) {
    const earlier = resume ? kept.of(suite.name) : undefined;
    const { counts, text } = earlier === undefined ? await runSuite(suite) : tellAgain(suite, earlier);
    console.log(text);
    for (const key of Object.keys(total)) total[key] += counts[key];
    const isGreen = counts.passed > 0 && counts.failed + counts.skipped === 0;
    if (suite.storms !== undefined && isGreen) calm[suite.storms] = storms[suite.storms];
  }
}

/** What a complete run showed is committed with the change that it was made for. */
function keepRecord() {
  const date = new Date().toISOString().slice(0, 10);
  writeRecord({ date, counts: total, seconds: Math.round(kept.ms() / 1_000), storms });
}

/** Storms that passed are not due again, though other suites did not run or were red. */
function keepStorms() {
  const { date, passed, failed, skipped, seconds, storms: before } = readRecord();
  if (date === undefined) return;
  writeRecord({ date, counts: { passed, failed, skipped }, seconds, storms: { ...before, ...calm } });
}

/** The rows that were shown, and the page that is made of them. */
async function keepFeatures() {
  // The installation above brings what reads the sources.
  const { writeResults } = await import("./lib/feature_results.mjs");
  const date = new Date().toISOString().slice(0, 10);
  writeResults({ date, complete, whole: filters.length === 0, suites: shown });
}

/** Names of passed tests that name rows; none where a run was cut off, which its counts tell. */
function shownIn(json) {
  try {
    return passedIn(JSON.parse(readFileSync(json, "utf8")));
  } catch {
    return new Map();
  }
}

/** What a suite showed when it ran last, of these very files. */
function tellAgain(suite, { counts, shown: rows, ms, at }) {
  shown[suite.name] = rows;
  const when = `${Math.round(ms / 1_000)} s, at ${at.slice(0, 16).replace("T", " ")} UTC: not run again`;
  return { counts, text: `${titleOf(suite).padEnd(22)}${line(counts)}  (${when})` };
}

/** Runs one to its end; what it prints is kept for the report. */
async function runSuite(suite) {
  const title = titleOf(suite).padEnd(22);
  const json = join(folder, `${suite.name}.json`);
  const command = commandOf(suite, json, filters, all);
  if (command.missing !== undefined) {
    const text =
      `${title}SKIPPED: no binary of ${command.missing} for this machine; it counts as one skipped`;
    return { counts: { passed: 0, failed: 0, skipped: 1 }, text };
  }
  const result = await run(command.binary, command.args, {
    timeout: suite.timeout,
    env: environment(),
  });
  const counts = countsOf(json, result, suite.crash);
  shown[suite.name] = shownIn(json);
  if (all && filters.length === 0) kept.keep(suite.name, { counts, shown: shown[suite.name], ms: result.ms });
  const lines = [`${title}${line(counts)}  (${Math.round(result.ms / 1_000)} s)`];
  if (counts.why !== undefined) lines.push(`${titleOf(suite)}: ${counts.why}`);
  if (counts.failed > 0) lines.push(result.output.trimEnd());
  return { counts, text: lines.join("\n") };
}

/** What a suite's process sees: no colours, no leftovers of npm's or the developer's Node options, no network. */
function environment() {
  // Tests read from the environment what else they are to run on.
  const extent = all ? { RELEVO_ALL: "1" } : {};
  const env = { ...process.env, ...extent, NO_COLOR: "1", CI: "true", DENO_NO_UPDATE_CHECK: "1" };
  for (const name of ["NODE_OPTIONS", "FORCE_COLOR", "NODE_ENV", "NODE_V8_COVERAGE"]) delete env[name];
  // Node would otherwise compile the library anew in each of the hundreds of processes that tests start.
  const compiled = { NODE_COMPILE_CACHE: inRepository("node_modules/.compile-cache") };
  // Bun, Deno and wrangler would otherwise look for news or report usage.
  return { ...env, ...compiled, WRANGLER_SEND_METRICS: "false", DO_NOT_TRACK: "1" };
}

function options(args) {
  const names = [];
  const filters = [];
  let all = false;
  let record = false;
  let resume = false;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--all") all = true;
    else if (args[i] === "--record") record = true;
    else if (args[i] === "--resume") resume = true;
    else if (args[i] === "--runtime") names.push(...(args[++i] ?? "").split(","));
    else if (args[i].startsWith("--runtime=")) names.push(...args[i].slice("--runtime=".length).split(","));
    else filters.push(args[i]);
  }
  const known = suites.map((suite) => suite.name);
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) {
    console.error(`Cannot test on '${wrong}': --runtime is one of ${known.join(", ")}`);
    process.exit(2);
  }
  if (names.length > 0) {
    return { chosen: suites.filter(({ name }) => names.includes(name)), filters, all, record, resume };
  }
  const reached = suites.filter((suite) => filters.length === 0 || reaches(suite, filters));
  return { chosen: reached.filter((suite) => all || isNeeded(suite, filters)), filters, all, record, resume };
}

/** Whether a change needs a suite; what is left out for now is said. */
function isNeeded(suite, filters) {
  if (filters.length > 0) {
    return suite.all !== true || suite.folders.some((folder) => filters.includes(folder));
  }
  if (suite.all) return false;
  if (suite.storms === undefined || hasChanged(suite.storms)) return true;
  const { date } = readRecord();
  console.log(
    `${titleOf(suite).padEnd(22)}as on ${date}: no file of its transport or of itself changed since`,
  );
  return false;
}

/** Whether one of the filters that are paths may lie in the suite's folders; a bare word may lie anywhere. */
function reaches(suite, filters) {
  const paths = filters.filter((filter) => filter.startsWith("tests/"));
  return paths.length === 0 ||
    suite.folders.some((dir) => paths.some((path) => path.startsWith(dir) || dir.startsWith(path)));
}
