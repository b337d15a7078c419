/* @ts-self-types="./suites.d.mts" */
import { inRepository } from "./paths.mjs";
import { binaryOf, table, toolNode } from "./runtimes.mjs";

const vitest = inRepository("node_modules/vitest/vitest.mjs");
const workerdConfig = inRepository("tests/runtimes/workerd.config.ts");
const minute = 60_000;
/**
 * What says more of servers, files and killed processes than of the runtime, and takes most of the time: where it is
 * spared, `--all` runs it all the same.
 */
const long = [
  "promises_sqlite.test.ts",
  "*_redis.test.ts",
  "blocked_nats.test.ts",
  "codecs_process.test.ts",
  "servers/*.test.ts",
  "faults/{clock,crashed,killed,leases,locked,poison,revoked,throng,ticks}.test.ts",
  "examples/killed.test.ts",
  "http/many_dead.test.ts",
  "producers.test.ts",
  "sqlite/{crash,operator_sizes}.test.ts",
  "redis/{clock,cluster,heavy,idle,invariants,keys,leftovers,operators,pages,ranges,refusals,seeds,waiting}.test.ts",
  "nats/{answers,atomic,bytes,bytes_together,credentials,facts,features,half_moves}.test.ts",
  "nats/{late_bytes,limits,losses,meanwhile,operators,protocols,trouble}.test.ts",
  "nats/{domains,half_batches,hard_cases,listing,promises,rows,silence,wire}.test.ts",
].map((files) => `tests/server/${files}`);
/** The same of the stores by the fake clock. */
const longStores = ["accidents_sqlite.test.ts", "*_redis.test.ts"].map((files) => `tests/stores/${files}`);
/** The same of the core: another build of V8 finds by the fake clock what Node 24 has found. Bun has another engine. */
const seeds = ["tests/web/simulation/**"];
/** What another Node would say again: SQLite, sockets and TLS are what differs between its versions. */
const again = [
  "{adapter_attempts,blocked_*,config}.test.ts",
  "features_*.test.ts",
  "{cli,otel,prometheus}/*.test.ts",
  "examples/*.test.ts",
  "faults/*.test.ts",
  "nats/{bad_input,clock,frames,server}.test.ts",
  "sqlite/full.test.ts",
  "redis/{full,full_scene,guest,pack,replicas}.test.ts",
].map((files) => `tests/server/${files}`);
const againStores = ["bad-input_*.test.ts", "features_*.test.ts"].map((files) => `tests/stores/${files}`);
const othersOfNode = ["node22", "node26"];
/** What the core and the stores by the fake clock spare on each runtime. */
const spared = {
  node22: [...seeds, ...longStores, ...againStores],
  node24: [],
  node26: [...seeds, ...longStores, ...againStores],
  deno: [...seeds, ...longStores],
  bun: longStores,
};

/**
 * Every suite, in the order of running: which folders, on which runtime, with which flags, for how long at most.
 * Under Deno the pool of threads reports false errors; under Bun the pool of forks fails.
 *
 * `beside`: nothing in it goes by the real clock, so that it runs beside a suite that mostly waits.
 * `all`: the suite runs with `--all` only. `storms`: with `--all`, and when a file of that transport, of what transports
 * share or of the storms themselves changed since the last complete run.
 */
export const suites = [
  {
    name: "house",
    title: "house",
    runtime: "node24",
    folders: ["tests/house/"],
    args: ["--maxWorkers=3"],
    beside: true,
    timeout: 15 * minute,
  },
  ...["node22", "node24", "node26", "deno", "bun"].map((runtime) => ({
    // Nothing here outlives its test, so that files need no process or thread of their own.
    name: runtime,
    folders: ["tests/web/", "tests/stores/"],
    ...flagsOf(runtime, ["--no-isolate"]),
    spares: spared[runtime],
    beside: true,
    timeout: 15 * minute,
  })),
  ...["node24", "node22", "node26", "deno", "bun"].map((runtime) => ({
    // Half of it is waiting for servers and processes, so that more files run at a time than there are cores.
    name: `server-${runtime}`,
    title: `server, ${runtime}`,
    runtime,
    folders: ["tests/server/"],
    ...flagsOf(runtime, ["--no-isolate", "--maxWorkers=4"]),
    spares: runtime === "node24" ? [] : othersOfNode.includes(runtime) ? [...long, ...again] : long,
    timeout: 15 * minute,
  })),
  ...["node24", "deno", "bun"].map((runtime) => ({
    // The contract on brokers by the real clock. Much of it is waiting: its four files run at a time.
    // Two runtimes at a time were too much for slow machines, on which leases ended that should not.
    name: `brokers-${runtime}`,
    title: `brokers, ${runtime}`,
    runtime,
    folders: ["tests/brokers/"],
    // A cluster of NATS has a suite of its own.
    ...flagsOf(runtime, ["--maxWorkers=4", "--exclude", "tests/brokers/nats_cluster.test.ts"]),
    spares: runtime === "node24" ? [] : ["tests/brokers/redis_cluster.test.ts"],
    all: runtime !== "node24",
    timeout: 15 * minute,
  })),
  {
    // Three servers and their clients keep two cores busy: beside other suites leases would end that should not.
    name: "brokers-cluster",
    title: "brokers, cluster",
    runtime: "node24",
    folders: ["tests/brokers/nats_cluster.test.ts"],
    ...flagsOf("node24", []),
    all: true,
    timeout: 15 * minute,
  },
  ...["redis", "nats"].map((transport) => ({
    // Servers are killed, links cut and stores filled here, which takes minutes and says the same on every runtime.
    name: `storms-${transport}`,
    title: `storms, ${transport}`,
    storms: transport,
    runtime: "node24",
    folders: [`tests/faults/${transport}`],
    args: ["--maxWorkers=2", "--testTimeout=300000"],
    timeout: 30 * minute,
  })),
  {
    // vitest itself runs on Node and drives workerd.
    name: "workerd",
    host: "node24",
    folders: ["tests/web/"],
    args: ["--config", workerdConfig],
    spares: seeds,
    // An error thrown by a timer after its test is printed by workerd and seen by no test.
    crash: /^uncaught exception/m,
    beside: true,
    timeout: 15 * minute,
  },
  {
    // Each version runs plain scripts; vitest itself, on Node 24, starts them and reads what they print.
    name: "least",
    title: "least versions",
    runtime: "node24",
    folders: ["tests/least/"],
    beside: true,
    timeout: 15 * minute,
  },
  {
    name: "workerd-raw",
    title: "workerd, raw",
    runtime: "workerd",
    host: "node24",
    folders: ["tests/workerd/"],
    beside: true,
    timeout: 5 * minute,
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

/**
 * The command that runs a suite and writes its results to `json`, or why it cannot run here. What the suite spares is left
 * out unless `all` is to run, or filters say what.
 */
export function commandOf(suite, json, filters = [], all = false) {
  const runtime = suite.runtime ?? suite.name;
  if (binaryOf(runtime) === undefined) return { missing: table[runtime].title };
  const binary = suite.host === undefined ? binaryOf(runtime) : toolNode();
  const args = [...(suite.before ?? []), vitest, "run", "--root", inRepository(""), ...(suite.args ?? [])];
  const spared = all || filters.length > 0 ? [] : suite.spares ?? [];
  args.push(...spared.flatMap((files) => ["--exclude", files]));
  if (!args.includes("--config")) args.push("--config", inRepository("vitest.config.ts"));
  args.push("--reporter=default", "--reporter=json", `--outputFile.json=${json}`);
  return { binary, args: [...args, ...(filters.length > 0 ? filters : suite.folders)] };
}
