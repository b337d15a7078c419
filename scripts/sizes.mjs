/**
 * `node scripts/sizes.mjs`: what each entry point costs. Its size is that of a bundle of all its names and of the
 * packages that it brings, minified, after gzip; of the core also the size of a program that imports `createRelay`
 * alone. Its import time is the processor's for the code that npm ships, which is neither minified nor one file. Prints
 * both, and fails for one that is over its bound, and for one that loads a transport of another entry. `npm run check`
 * runs it.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { bundle } from "./lib/bundle.mjs";
import { inRepository, root } from "./lib/paths.mjs";
import { toolNode } from "./lib/runtimes.mjs";

/**
 * KB of each entry; what it loads later is not counted. A little above what they take: a change that makes one larger
 * is to be meant.
 */
const BOUNDS = {
  ".": 66,
  createRelay: 62,
  "./admin": 11.5,
  "./cli": 21,
  "./codecs": 4,
  "./config": 69.5,
  "./connect": 4.5,
  "./cron": 14,
  "./middleware": 4,
  "./nats": 52,
  "./otel": 6.5,
  "./prometheus": 6,
  "./redis": 56.5,
  "./rich": 5,
  "./sqlite": 27.5,
  "./testing": 108,
};
/** Milliseconds of processor time that an import may take: many times what it takes, as machines differ. */
const IMPORT = 300;
/** Entries that may load the files of which transports; others load none. */
const TRANSPORTS = { "./nats": ["nats"], "./redis": ["redis"], "./sqlite": ["sqlite"] };

/** A program of the core alone. */
const PROGRAM = `export { createRelay } from ${JSON.stringify(inRepository("mod.ts"))};`;

const { exports: entries } = JSON.parse(readFileSync(inRepository("deno.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "relevo-sizes-"));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
writeFileSync(join(folder, "program.js"), PROGRAM);
symlinkSync(inRepository("node_modules"), join(folder, "node_modules"), "junction");
await bundle(join(folder, "dist"));
let wrong = 0;
for (const [entry, file] of Object.entries(entries)) await weigh(entry, inRepository(file), shipped(file));
await weigh("createRelay", join(folder, "program.js"));
for (const entry of Object.keys(BOUNDS)) {
  if (entries[entry] === undefined && entry !== "createRelay") {
    complain(`${entry} has a bound and is no entry point`);
  }
}
rmSync(folder, { recursive: true, force: true });
process.exit(wrong > 0 ? 1 : 0);

/** `imported`: the file whose import is timed; absent where none is. */
async function weigh(entry, file, imported) {
  const loaded = withTheFirst(await partsOf(file));
  const size = gzipSync(loaded.map(({ code }) => code).join("\n"), { level: 9 }).length / 1_024;
  const ms = imported === undefined ? 0 : importTime(entry, imported);
  const time = imported === undefined ? "" : `${ms.toFixed(0).padStart(6)} ms`;
  console.log(`${entry.padEnd(14)}${size.toFixed(1).padStart(6)} KB${time}`);
  const bound = BOUNDS[entry];
  if (bound === undefined) complain(`${entry} has no bound`);
  else if (size > bound) complain(`${entry} is over its bound of ${bound} KB`);
  if (ms > IMPORT) complain(`${entry} is over the bound of ${IMPORT} ms`);
  for (const transport of transportsIn(loaded)) {
    if (!TRANSPORTS[entry]?.includes(transport)) complain(`${entry} loads the transport ${transport}`);
  }
}

/** The parts of a program that imports a file, the first one first. */
async function partsOf(file) {
  const built = await build({
    configFile: false,
    root,
    logLevel: "error",
    ssr: { noExternal: true },
    build: {
      ssr: file,
      write: false,
      minify: true,
      target: "es2023",
      rolldownOptions: { output: { entryFileNames: "main.js", chunkFileNames: "[name]-[hash].js" } },
    },
  });
  const chunks = [built].flat().flatMap(({ output }) => output).filter(({ type }) => type === "chunk");
  return chunks.sort((a, b) => Number(b.isEntry) - Number(a.isEntry));
}

/** The parts that are loaded with the first. */
function withTheFirst(chunks) {
  const found = new Set();
  const visit = (name) => {
    const chunk = chunks.find(({ fileName }) => fileName === name);
    if (chunk === undefined || found.has(chunk)) return;
    found.add(chunk);
    chunk.imports.forEach(visit);
  };
  visit(chunks[0].fileName);
  return [...found];
}

/** The shipped transports that need more than the core whose code is in these parts. */
function transportsIn(chunks) {
  const files = chunks.flatMap(({ modules }) =>
    Object.entries(modules).flatMap(([file, { renderedLength }]) => renderedLength > 0 ? [file] : [])
  );
  const found = files.flatMap((file) => /src\/transports\/(nats|redis|sqlite)\//.exec(file)?.[1] ?? []);
  return [...new Set(found)];
}

/** The file that npm ships for an entry's source. */
function shipped(source) {
  return join(folder, "dist", source.replace(/\.ts$/, ".js"));
}

/** Milliseconds of processor time that the import takes in a process of its own. */
function importTime(entry, file) {
  const script = `const before = process.cpuUsage();
    await import(${JSON.stringify(pathToFileURL(file).href)});
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) / 1000);`;
  const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
  const { stdout, stderr, status } = spawnSync(toolNode(), args, { encoding: "utf8", timeout: 30_000 });
  if (status !== 0) complain(`${entry} cannot be imported: ${stderr}`);
  return Number(stdout);
}

function complain(what) {
  wrong++;
  console.error(`FAILED: ${what}`);
}
