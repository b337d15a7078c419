/** The package as npm would publish it, packed from a copy: several checkers may be at work in the same tree. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
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

/** Builds and packs into a folder; the path of the tarball. */
export async function pack(folder: string): Promise<string> {
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
