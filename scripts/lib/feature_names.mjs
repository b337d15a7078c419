/* @ts-self-types="./feature_names.d.mts" */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "vite";
import { rowsIn } from "./features.mjs";
import { inRepository } from "./paths.mjs";

/** What stands for a value in the name of a test of a table: `%s`, `$title`. */
const HOLES = /%[sdifjo#%]|\$[a-zA-Z_][\w.]*/;

/** Texts in the sources of tests that name rows, each once; what is put into them is `\0`. */
export function namesInSources() {
  const names = new Set();
  for (const entry of readdirSync(inRepository("tests"), { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !path.endsWith(".ts") || path.includes("node_modules")) continue;
    const source = readFileSync(path, "utf8");
    if (rowsIn(source).length > 0) collect(parseAst(source, { lang: "ts" }), names);
  }
  return [...names].sort();
}

function collect(node, names) {
  if (Array.isArray(node)) return node.forEach((each) => collect(each, names));
  if (typeof node !== "object" || node === null) return;
  const text = node.type === "Literal" && typeof node.value === "string"
    ? node.value
    : node.type === "TemplateLiteral"
    ? node.quasis.map(({ value }) => value.cooked).join("\0")
    : "";
  if (rowsIn(text).length > 0) names.add(text.split(HOLES).join("\0"));
  for (const child of Object.values(node)) collect(child, names);
}

/**
 * What names in sources and names that passed have not in common: `unshown`, those of sources that no test which passed
 * has in its name; `unknown`, those that passed and whose rows no source names so.
 */
export function compareNames(sources, passed) {
  const patterns = sources.map((text) => ({ text, pattern: patternOf(text), rows: rowsIn(text) }));
  const unshown = patterns.filter(({ pattern }) => !passed.some((name) => pattern.test(name)))
    .map(({ text }) => text.replaceAll("\0", "..."));
  const unknown = passed.filter((name) => {
    const rows = new Set(patterns.filter(({ pattern }) => pattern.test(name)).flatMap(({ rows }) => rows));
    return rowsIn(name).some((row) => !rows.has(row));
  });
  return { unshown, unknown };
}

function patternOf(text) {
  const parts = text.split("\0").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(parts.join("[^]*?"));
}
