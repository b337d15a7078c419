/** `npm run build`: compiles what npm ships into `dist`. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { inRepository, root } from "./lib/paths.mjs";

rmSync(inRepository("dist"), { recursive: true, force: true });
const tsc = inRepository("node_modules/typescript/bin/tsc");
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
