import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inRepository, root } from "../../../scripts/lib/paths.mjs";
import { run } from "../../../scripts/lib/run.mjs";
import { binaryOf } from "../../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../../scripts/lib/tools.mjs";

/** What each file imports: other files of the repository by their paths, everything else as it is written. */
export type Graph = ReadonlyMap<string, readonly string[]>;

interface Resolved {
  readonly specifier?: string;
}

interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: Resolved;
      readonly type?: Resolved;
    }[];
  }[];
}

/** The imports of the given files and of all files that these reach, as deno's own parser sees them. */
export async function graphOf(files: readonly string[]): Promise<Graph> {
  const folder = mkdtempSync(join(tmpdir(), "relevo-graph-"));
  try {
    const entry = join(folder, "entry.ts");
    writeFileSync(
      entry,
      files.map((file) => `import ${JSON.stringify(pathToFileURL(inRepository(file)).href)};\n`).join(""),
    );
    const { code, output } = await run(
      binaryOf("deno") ?? "deno",
      ["info", "--json", "--quiet", "--config", inRepository("deno.json"), entry],
      { timeout: 240_000, env: toolEnvironment() },
    );
    if (code !== 0) throw new Error(`Cannot read the imports: ${output}`);
    return read(JSON.parse(output.slice(output.indexOf("{"))) as Info);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every file below a folder with the given ending, by its path in the repository. */
export function filesBelow(folder: string, ending: string): readonly string[] {
  return readdirSync(inRepository(folder), { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path.split(sep).join("/")}`)
    .filter((path) => path.endsWith(ending) && !path.includes("node_modules/"))
    .sort();
}

function read(info: Info): Graph {
  const graph = new Map<string, readonly string[]>();
  for (const module of info.modules) {
    const path = pathOf(module.specifier);
    if (module.error !== undefined) throw new Error(`Cannot read ${path}: ${module.error}`);
    if (path.startsWith("..") || !module.specifier.startsWith("file:")) continue;
    const targets = (module.dependencies ?? []).flatMap(({ specifier, code, type }) => {
      const found = [code?.specifier, type?.specifier].filter((target) => target !== undefined);
      return found.length > 0 ? found.map(pathOf) : [specifier];
    });
    graph.set(path, [...new Set(targets)]);
  }
  return graph;
}

function pathOf(specifier: string): string {
  if (!specifier.startsWith("file:")) return specifier;
  return relative(root, fileURLToPath(specifier)).split(sep).join("/");
}
