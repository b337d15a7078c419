/* @ts-self-types="./suites.d.mts" */
import { inRepository } from "./paths.mjs";
import { binaryOf, table, toolNode } from "./runtimes.mjs";

const vitest = inRepository("node_modules/vitest/vitest.mjs");
const workerdConfig = inRepository("tests/runtimes/workerd.config.ts");
const minute = 60_000;
/** What takes long and says more of servers than of the runtime: on one Node, Deno and Bun. */
const long = [
  "*_redis.test.ts",
  "servers/*.test.ts",
  "redis/{clock,cluster,refusals,waiting}.test.ts",
  "nats/{moves,server}.test.ts",
].flatMap((files) => ["--exclude", `tests/server/${files}`]);

/**
 * Every suite, in the order of running: which folders, on which runtime, with which flags, for how long at most.
 * Under Deno the pool of threads reports false errors; under Bun the pool of forks fails.
 */
export const suites = [
  { name: "house", title: "house", runtime: "node24", folders: ["tests/house/"], timeout: 4 * minute },
  {
    // Servers are killed and links cut here, which takes minutes and says the same on every runtime.
    name: "faults",
    title: "faults",
    runtime: "node24",
    folders: ["tests/faults/"],
    args: ["--maxWorkers=3"],
    timeout: 8 * minute,
  },
  {
    name: "node22",
    folders: ["tests/web/", "tests/server/"],
    args: ["--pool=forks", ...long],
    timeout: 5 * minute,
  },
  { name: "node24", folders: ["tests/web/", "tests/server/"], args: ["--pool=forks"], timeout: 5 * minute },
  {
    name: "node26",
    folders: ["tests/web/", "tests/server/"],
    args: ["--pool=forks", ...long],
    timeout: 5 * minute,
  },
  {
    name: "deno",
    folders: ["tests/web/", "tests/server/"],
    before: ["run", "-A"],
    args: ["--pool=forks"],
    timeout: 5 * minute,
  },
  {
    name: "bun",
    folders: ["tests/web/", "tests/server/"],
    before: ["--bun"],
    args: ["--pool=threads"],
    timeout: 5 * minute,
  },
  ...["node24", "deno", "bun"].map((runtime) => ({
    // The contract on brokers by the real clock: most of it is waiting, so that more files run at a time than there are cores.
    name: `brokers-${runtime}`,
    title: `brokers, ${runtime}`,
    runtime,
    folders: ["tests/brokers/"],
    // Each server and each way on every runtime; all four pairs of them on one. A cluster does not pass all of it yet.
    ...flagsOf(runtime, [
      "--maxWorkers=4",
      ...(runtime === "node24" ? ["nats_cluster"] : ["nats_cluster", "nats_newest", "nats_websocket"])
        .flatMap((file) => ["--exclude", `tests/brokers/${file}.test.ts`]),
    ]),
    timeout: 5 * minute,
  })),
  {
    // vitest itself runs on Node and drives workerd.
    name: "workerd",
    host: "node24",
    folders: ["tests/web/"],
    args: ["--config", workerdConfig],
    // An error thrown by a timer after its test is printed by workerd and seen by nobody else.
    crash: /^uncaught exception/m,
    timeout: 5 * minute,
  },
  {
    name: "workerd-raw",
    title: "workerd, raw",
    runtime: "workerd",
    host: "node24",
    folders: ["tests/workerd/"],
    timeout: 2 * minute,
  },
];

/** What stands before and behind vitest's own file on a runtime. */
function flagsOf(runtime, more) {
  const before = { deno: ["run", "-A"], bun: ["--bun"] }[runtime] ?? [];
  return { before, args: [runtime === "bun" ? "--pool=threads" : "--pool=forks", ...more] };
}

/** What a suite is called in the report. */
export function titleOf(suite) {
  return suite.title ?? table[suite.name].title;
}

/** The command that runs a suite and writes its results to `json`, or why it cannot run here. */
export function commandOf(suite, json, filters = []) {
  const runtime = suite.runtime ?? suite.name;
  if (binaryOf(runtime) === undefined) return { missing: table[runtime].title };
  const binary = suite.host === undefined ? binaryOf(runtime) : toolNode();
  const args = [...(suite.before ?? []), vitest, "run", "--root", inRepository(""), ...(suite.args ?? [])];
  if (!args.includes("--config")) args.push("--config", inRepository("vitest.config.ts"));
  args.push("--reporter=default", "--reporter=json", `--outputFile.json=${json}`);
  return { binary, args: [...args, ...(filters.length > 0 ? filters : suite.folders)] };
}
