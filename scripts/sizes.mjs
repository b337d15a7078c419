/**
 * `node scripts/sizes.mjs`: what each entry point costs a program that imports it: bytes after minifying and gzip, and
 * the processor's time of the import. Prints both, and fails for one that is over its bound, and for one that loads a
 * transport of another entry. `npm run check` runs it.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { inRepository, root } from "./lib/paths.mjs";
import { toolNode } from "./lib/runtimes.mjs";

/**
 * KB of each entry, packages that it brings included; what it loads later is not counted. A little above what they take:
 * a change that makes one larger is to be meant.
 */
const BOUNDS = {
  ".": 64,
  "./admin": 13,
  "./cli": 22,
  "./codecs": 5,
  "./config": 66,
  "./connect": 5,
  "./cron": 15,
  "./middleware": 4,
  "./nats": 48,
  "./otel": 7,
  "./prometheus": 7,
  "./redis": 52,
  "./rich": 6,
  "./sqlite": 28,
  "./testing": 110,
};
/** Milliseconds of processor time that an import may take: many times what it takes, as machines differ. */
const IMPORT = 500;
/** Entries that may load the files of which transports; others load none. */
const TRANSPORTS = { "./nats": ["nats"], "./redis": ["redis"], "./sqlite": ["sqlite"] };

const { exports: entries } = JSON.parse(readFileSync(inRepository("deno.json"), "utf8"));
const folder = mkdtempSync(join(tmpdir(), "relevo-sizes-"));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
let wrong = 0;
for (const [entry, file] of Object.entries(entries)) await weigh(entry, file);
for (const entry of Object.keys(BOUNDS)) {
  if (entries[entry] === undefined) complain(`${entry} has a bound and is no entry point`);
}
rmSync(folder, { recursive: true, force: true });
process.exit(wrong > 0 ? 1 : 0);

async function weigh(entry, file) {
  const chunks = await bundle(file);
  const loaded = withTheFirst(chunks);
  const size = gzipSync(loaded.map(({ code }) => code).join("\n"), { level: 9 }).length / 1_024;
  const ms = importTime(entry, chunks);
  console.log(`${entry.padEnd(14)}${size.toFixed(1).padStart(6)} KB${ms.toFixed(0).padStart(6)} ms`);
  const bound = BOUNDS[entry];
  if (bound === undefined) complain(`${entry} has no bound`);
  else if (size > bound) complain(`${entry} is over its bound of ${bound} KB`);
  if (ms > IMPORT) complain(`${entry} is over the bound of ${IMPORT} ms`);
  for (const transport of transportsIn(loaded)) {
    if (!TRANSPORTS[entry]?.includes(transport)) complain(`${entry} loads the transport ${transport}`);
  }
}

/** The parts of a program that imports a file, the first one first. */
async function bundle(file) {
  const built = await build({
    configFile: false,
    root,
    logLevel: "error",
    ssr: { noExternal: true },
    build: {
      ssr: inRepository(file),
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

/** Milliseconds of processor time that the import takes in a process of its own. */
function importTime(entry, chunks) {
  const place = join(folder, encodeURIComponent(entry));
  for (const { fileName, code } of chunks) {
    mkdirSync(dirname(join(place, fileName)), { recursive: true });
    writeFileSync(join(place, fileName), code);
  }
  const script = `const before = process.cpuUsage();
    await import(${JSON.stringify(pathToFileURL(join(place, "main.js")).href)});
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
