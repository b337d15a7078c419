/**
 * `npm run bench`: installs the peers, and starts the benchmark with a Node that runs TypeScript as it is.
 */
import { spawnSync } from "node:child_process";
import { install } from "../scripts/lib/install.mjs";
import { inRepository } from "../scripts/lib/paths.mjs";
import { toolNode } from "../scripts/lib/runtimes.mjs";

const [major] = process.versions.node.split(".").map(Number);
if (major < 24 && !install("tests/runtimes", "Node 24 to measure with")) process.exit(1);
const node = major < 24 ? toolNode() : process.execPath;
if (!install("", "the development dependencies", { node })) process.exit(1);
if (!install("bench", "the peers of the benchmark", { node })) process.exit(1);
const script = inRepository("bench/main.ts");
const { status } = spawnSync(node, [
  "--disable-warning=ExperimentalWarning",
  script,
  ...process.argv.slice(2),
], {
  stdio: "inherit",
});
process.exit(status ?? 1);
