/**
 * `npm run release -- jsr|npm [--dry-run]`: publishes the package to a registry, with provenance. A dry run publishes
 * nothing, and needs no account.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { install, npm } from "./lib/install.mjs";
import { inRepository, root } from "./lib/paths.mjs";
import { binaryOf, toolNode } from "./lib/runtimes.mjs";

const [registry, ...flags] = process.argv.slice(2);
const isDry = flags.includes("--dry-run");
if ((registry !== "jsr" && registry !== "npm") || flags.some((flag) => flag !== "--dry-run")) {
  console.error("Cannot release as the registry must be 'jsr' or 'npm', with --dry-run behind it or nothing");
  process.exit(2);
}
const { repository } = JSON.parse(readFileSync(inRepository("package.json"), "utf8"));
if (!isDry && repository === undefined) {
  console.error("Cannot release with provenance as package.json names no 'repository'");
  process.exit(1);
}
install("tests/runtimes", "the runtimes to publish with", { quiet: isDry });
if (!install("", "the development dependencies", { node: toolNode(), quiet: isDry })) process.exit(1);

const [command, args] = registry === "jsr" ? toJsr() : toNpm();
const { status } = spawnSync(command, args, {
  cwd: root,
  stdio: "inherit",
  // JSR's tool would otherwise fetch a Deno of its own. It hands the path to a shell as it is: a folder of this machine
  // may hold a space, the path from the repository does not.
  env: {
    ...process.env,
    DENO_BIN_PATH: relative(root, binaryOf("deno") ?? "deno"),
    DENO_NO_UPDATE_CHECK: "1",
  },
});
process.exit(status ?? 1);

/** Deno attests the provenance by itself where a workflow's identity is at hand. */
function toJsr() {
  const tool = inRepository("node_modules/jsr/dist/bin.js");
  return [toolNode(), [tool, "publish", ...(isDry ? ["--dry-run", "--allow-dirty"] : [])]];
}

function toNpm() {
  const how = isDry ? ["--dry-run", "--ignore-scripts"] : ["--provenance"];
  return npm(toolNode(), ["publish", "--access", "public", ...how]);
}
