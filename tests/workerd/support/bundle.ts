/** Programs for workerd as a bundler makes them, and which of their modules ask for Node's. */
import { builtinModules } from "node:module";
import { build, type Plugin, type Rolldown } from "vite";
import { inRepository } from "../../../scripts/lib/paths.mjs";

/** A part of a program, which is loaded as a whole. */
export interface Part {
  readonly name: string;
  readonly code: string;
  /** The parts and the modules of the runtime that are loaded with it. */
  readonly imports: readonly string[];
  /** What is loaded when the program asks for it. */
  readonly later: readonly string[];
  /** The files that it was made of. */
  readonly files: readonly string[];
}

/** A program. */
export interface Bundle {
  /** The first is the program's beginning. */
  readonly parts: readonly Part[];
  /** The files that ask for a module of Node's, and for which. */
  readonly asking: readonly (readonly [file: string, module: string])[];
}

const CONDITIONS = ["workerd", "worker", "browser"];

/** Bundles a file of the repository for the edge; what is imported later stays a part of its own. */
export async function bundle(file: string): Promise<Bundle> {
  const asking: (readonly [string, string])[] = [];
  const built = await build({
    configFile: false,
    root: inRepository(""),
    logLevel: "error",
    plugins: [lookout((asker, module) => asking.push([asker, module]))],
    resolve: { conditions: CONDITIONS, mainFields: ["browser", "module", "main"] },
    ssr: { target: "webworker", noExternal: true, resolve: { conditions: CONDITIONS } },
    build: {
      ssr: inRepository(file),
      write: false,
      minify: false,
      target: "es2023",
      rolldownOptions: {
        output: { codeSplitting: true, entryFileNames: "main.js", chunkFileNames: "[name].js" },
      },
    },
  });
  const outputs = [built].flat().flatMap((each) => "output" in each ? each.output : []);
  const parts = outputs.filter((each) => each.type === "chunk").map(partOf);
  return {
    parts: parts.toSorted((a, b) => Number(b.name === "main.js") - Number(a.name === "main.js")),
    asking,
  };
}

/** The parts that are loaded with the first one, and what it may load later but for parts made of `unwanted` files. */
export function without({ parts }: Bundle, unwanted: RegExp): readonly Part[] {
  const named = new Map(parts.map((part) => [part.name, part]));
  const found = new Set<Part>();
  const visit = (part: Part | undefined): void => {
    if (part === undefined || found.has(part)) return;
    found.add(part);
    for (const name of part.imports) visit(named.get(name));
    for (const name of part.later) {
      if (!named.get(name)?.files.some((file) => unwanted.test(file))) visit(named.get(name));
    }
  };
  visit(parts[0]);
  return [...found];
}

/** Whether a name is a module of Node's. */
export function isNode(name: string): boolean {
  return name.startsWith("node:") || builtinModules.includes(name);
}

/** Sees who asks for a module of Node's that is not replaced for browsers. */
function lookout(found: (asker: string, module: string) => void): Plugin {
  return {
    name: "lookout",
    enforce: "pre",
    async resolveId(source, importer, options) {
      if (!isNode(source)) return null;
      const resolved = await this.resolve(source, importer, { ...options, skipSelf: true });
      // A package may name what replaces the module in browsers, most often nothing at all.
      const replaced = resolved?.id.startsWith("__vite-browser-external") === true;
      const file = importer !== undefined && !importer.startsWith("\0");
      if (file && !replaced) found(importer, source);
      return resolved;
    },
  };
}

function partOf(chunk: Rolldown.OutputChunk): Part {
  return {
    name: chunk.fileName,
    code: chunk.code,
    imports: chunk.imports,
    later: chunk.dynamicImports,
    files: chunk.moduleIds,
  };
}
