/* @ts-self-types="./record.d.mts" */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { inRepository, root } from "./paths.mjs";

/** What the last complete `npm test -- --all` showed; committed, so that a change knows what has been shown before it. */
const file = "tests/all.json";
/** Where CONTRIBUTING.md says when that run was, and what it counted. */
const [begin, end] = ["<!-- all -->", "<!-- /all -->"];

/** The record, or an empty one where there is none yet. */
export function readRecord() {
  try {
    return JSON.parse(readFileSync(inRepository(file), "utf8"));
  } catch {
    return { storms: {} };
  }
}

/** Keeps what a complete run showed, and says so in CONTRIBUTING.md. */
export function writeRecord({ date, counts, seconds, storms }) {
  writeFileSync(
    inRepository(file),
    `${JSON.stringify({ date, ...counts, seconds, storms }, undefined, 2)}\n`,
  );
  const page = inRepository("CONTRIBUTING.md");
  const text = readFileSync(page, "utf8");
  writeFileSync(
    page,
    text.replace(new RegExp(`${begin}.*${end}`, "s"), sentenceOf({ date, ...counts, seconds })),
  );
}

/** The sentence of CONTRIBUTING.md about the last complete run. */
export function sentenceOf({ date, passed, failed, skipped, seconds }) {
  const minutes = Math.round(seconds / 60);
  return `${begin}The last complete run was on ${date}: ${passed} passed, ${failed} failed, ${skipped} skipped, in ${minutes} minutes.${end}`;
}

/** Whether a transport, or what its storms are made of, changed since they passed last. */
export function hasChanged(transport) {
  return readRecord().storms[transport] !== digestOf(transport);
}

/**
 * A digest of every file of a transport, of what it shares with others, and of its storms: the same for the same files,
 * whatever the history says of them.
 */
export function digestOf(transport) {
  const other = (path) =>
    /^tests\/faults\/(?!support\/)/.test(path) && !path.startsWith(`tests/faults/${transport}`);
  const hash = createHash("sha256");
  for (const folder of [`src/transports/${transport}`, "src/store", "tests/faults", "tests/server/faults"]) {
    for (const file of filesUnder(inRepository(folder))) {
      const path = relative(root, file).replaceAll("\\", "/");
      if (other(path)) continue;
      hash.update(path).update("\0");
      hash.update(readFileSync(file, "utf8").replaceAll("\r\n", "\n")).update("\0");
    }
  }
  return hash.digest("hex").slice(0, 32);
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
