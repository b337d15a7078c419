/** `npm run build [-- folder]`: compiles what npm ships, into `dist` by default. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { inRepository, root } from "./lib/paths.mjs";

const out = process.argv[2] === undefined ? inRepository("dist") : resolve(process.argv[2]);
rmSync(out, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [inRepository("node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json", "--outDir", out],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
