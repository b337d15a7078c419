/** `npm run build [-- folder]`: compiles what npm ships, into `dist` by default: types file by file, code in one file for each entry. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundle } from "./lib/bundle.mjs";
import { inRepository, root } from "./lib/paths.mjs";

const out = process.argv[2] === undefined ? inRepository("dist") : resolve(process.argv[2]);
rmSync(out, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [
    inRepository("node_modules/typescript/bin/tsc"),
    "-p",
    "tsconfig.build.json",
    "--emitDeclarationOnly",
    "--outDir",
    out,
  ],
  { cwd: root, stdio: "inherit" },
);
if (status !== 0) process.exit(status ?? 1);
nameLibraries();
await bundle(out);

/**
 * Types that only the newest of TypeScript's own libraries have are asked for where they stand, so that a program
 * compiles whatever its `lib` says. In the sources JSR refuses such a line.
 */
function nameLibraries() {
  for (const file of readdirSync(out, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".d.ts")) continue;
    const text = readFileSync(join(out, file), "utf8");
    if (!/\b(Async)?Disposable\b/.test(text)) continue;
    writeFileSync(join(out, file), `/// <reference lib="esnext.disposable" />\n${text}`);
  }
}
