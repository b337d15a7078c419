/**
 * The language of comments and pages: docs/glossary.md says which words are left out, and this counts them. A folder may
 * use fewer than its ceiling; one that is mended gets a lower one.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { filesBelow } from "./support/graph.ts";

/** What no sentence's subject may be, per 1,000 words; and how often `what` may stand. */
interface Ceiling {
  readonly person: number;
  readonly what: number;
}

/** The aim for every folder. */
const AIM: Ceiling = { person: 1, what: 5 };

/** Folders that are not there yet, with what they may have meanwhile: each number may only fall. */
const CEILINGS: Readonly<Record<string, Ceiling>> = {
  "docs": { person: 1, what: 7 }, // docs/features.md is made of the names of tests
};

const PERSON = /\b(?:whoever|who|whom|somebody|nobody|anybody)\b/gi;

/** The words of a file that are for people: its comments, or its text without programs and tables of output. */
function proseOf(file: string): string {
  const text = readFileSync(inRepository(file), "utf8");
  if (file.endsWith(".md")) return text.replace(/```[^]*?```/g, " ").replace(/`[^`\n]*`/g, " ");
  const comments = text.matchAll(/\/\*\*?([^]*?)\*\/|(?:^|\s)\/\/([^\n]*)/g);
  return [...comments].map(([, block, line]) => (block ?? line ?? "").replace(/^\s*\*/gm, " ")).join("\n")
    .replace(/@\w+/g, " ");
}

function folderOf(file: string): string {
  const parts = file.split("/").slice(0, -1);
  return parts.slice(0, parts[1] === "transports" ? 3 : 2).join("/") || "README.md, mod.ts";
}

function per1000(text: string, pattern: RegExp): number {
  const words = text.match(/[A-Za-z'-]+/g)?.length ?? 0;
  return words === 0 ? 0 : (text.match(pattern)?.length ?? 0) * 1_000 / words;
}

const folders = Map.groupBy(
  ["README.md", "mod.ts", ...filesBelow("src", ".ts"), ...filesBelow("docs", ".md")],
  folderOf,
);

test.each([...folders])("the sentences of %s are about things of the field", (folder, files) => {
  const prose = files.map(proseOf).join("\n");
  const { person, what } = CEILINGS[folder] ?? AIM;
  expect(per1000(prose, PERSON), "who, whoever, whom, somebody, nobody, anybody").toBeLessThan(person);
  expect(per1000(prose, /\bwhat\b/gi), "what").toBeLessThan(what);
});

test("no ceiling is for a folder that is gone, or that keeps to the aim", () => {
  const idle = Object.entries(CEILINGS).filter(([folder, { person, what }]) =>
    !folders.has(folder) || (person <= AIM.person && what <= AIM.what)
  );
  expect(idle).toEqual([]);
});

test("the glossary gives each word one row", () => {
  const page = readFileSync(inRepository("docs/glossary.md"), "utf8");
  const words = [...page.matchAll(/^\| ([a-z][^|]*?) \|/gm)].map(([, word = ""]) => word).filter((word) =>
    word !== "word"
  );
  expect(words.length).toBeGreaterThan(30);
  expect(new Set(words).size).toBe(words.length);
});
