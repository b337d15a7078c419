/** The package as npm would publish it, packed from a copy: several checkers may be at work in the same tree. */
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { npm } from "../../../scripts/lib/install.mjs";
import { inRepository } from "../../../scripts/lib/paths.mjs";
import { run } from "../../../scripts/lib/run.mjs";
import { toolNode } from "../../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../../scripts/lib/tools.mjs";

/** What npm always takes beside the `files` of the manifest. */
const ALWAYS = ["package.json", "LICENSE", "README.md"];

/** Runs npm in a folder; its output. */
export async function runNpm(args: readonly string[], cwd: string, timeout = 240_000): Promise<string> {
  const [command, all] = npm(toolNode(), [...args, "--loglevel=error"]);
  const { code, output } = await run(command, all, { timeout, env: toolEnvironment(), cwd });
  if (code !== 0) throw new Error(`npm ${args[0]} ended with ${code}: ${output}`);
  return output;
}

/** Where packages are kept that were packed before: several tests of a run want the package of the very same files. */
const KEPT = inRepository("node_modules/.cache/relevo/packed");

/** The package of the files as they are, in a folder; the path of the tarball. */
export async function pack(folder: string): Promise<string> {
  const files = digest();
  const kept = join(KEPT, `${files}.tgz`);
  const tarball = join(folder, "relevo.tgz");
  if (existsSync(kept)) {
    cpSync(kept, tarball);
    return tarball;
  }
  renameSync(await packAnew(folder), tarball);
  // A file that changed meanwhile may be in it or not.
  if (digest() === files) keep(tarball, kept);
  return tarball;
}

/** Keeps a package, and none of other files. */
function keep(tarball: string, kept: string): void {
  mkdirSync(KEPT, { recursive: true });
  const part = `${kept}.${process.pid}`;
  cpSync(tarball, part);
  renameSync(part, kept);
  for (const name of readdirSync(KEPT)) {
    if (!kept.endsWith(name) && name.endsWith(".tgz")) rmSync(join(KEPT, name), { force: true });
  }
}

/** A digest of every file that is shipped, or that says how it is built. */
function digest(): string {
  const hash = createHash("sha256");
  const parts = [
    ...ALWAYS,
    "package-lock.json",
    "tsconfig.base.json",
    "tsconfig.build.json",
    "mod.ts",
    "src",
    "docs",
    "examples",
    "scripts",
  ];
  for (const part of [...parts, "llms.txt", "CHANGELOG.md"]) {
    const path = inRepository(part);
    for (const file of statSync(path).isDirectory() ? filesIn(path) : [path]) {
      hash.update(relative(inRepository(""), file)).update("\0").update(readFileSync(file)).update("\0");
    }
  }
  return hash.digest("hex").slice(0, 32);
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Builds and packs into a folder; the path of the tarball. */
async function packAnew(folder: string): Promise<string> {
  const stage = join(folder, "stage");
  mkdirSync(stage);
  const { files } = JSON.parse(readFileSync(inRepository("package.json"), "utf8")) as {
    readonly files: readonly string[];
  };
  for (const file of [...ALWAYS, ...files]) {
    if (file === "dist" || file.startsWith("!") || !existsSync(inRepository(file))) continue;
    cpSync(inRepository(file), join(stage, file), { recursive: true });
  }
  const build = await run(toolNode(), [inRepository("scripts/build.mjs"), join(stage, "dist")], {
    timeout: 240_000,
    env: toolEnvironment(),
  });
  if (build.code !== 0) throw new Error(`Cannot build: ${build.output}`);
  await runNpm(["pack", "--ignore-scripts", "--pack-destination", folder], stage);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm packed nothing");
  return join(folder, tarball);
}

/** Installs a tarball into a project of its own, with packages of this repository beside it. */
export async function installPacked(
  tarball: string,
  project: string,
  beside: readonly string[] = [],
): Promise<void> {
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await runNpm(["install", "--prefer-offline", "--no-audit", "--no-fund", tarball], project);
  for (const name of beside) {
    mkdirSync(join(project, "node_modules", name, ".."), { recursive: true });
    symlinkSync(inRepository(`node_modules/${name}`), join(project, "node_modules", name), "junction");
  }
}
