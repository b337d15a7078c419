import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { filesBelow } from "./support/graph.ts";
import { membersOf, textsOf } from "./support/members.ts";
import { reference } from "./support/reference.ts";

const pages = new Map(reference());

test.each([...pages])("%s is what `npm run readme` writes from the source", (path, text) => {
  expect(readFileSync(inRepository(path), "utf8")).toBe(text);
});

test("docs/reference holds the pages that are written from the source, and no other", () => {
  const written = [...pages.keys()].filter((path) => path.startsWith("docs/"));
  expect(filesBelow("docs/reference", ".md").toSorted()).toEqual(written.toSorted());
});

test("the manual's contents and llms.txt list every page of docs/", () => {
  const contents = readFileSync(inRepository("docs/README.md"), "utf8");
  const wanted = filesBelow("docs", ".md").filter((path) => path !== "docs/README.md").toSorted();
  const listed = (text: string, pattern: RegExp): readonly string[] =>
    [...text.matchAll(pattern)].map(([, path = ""]) => path).toSorted();
  expect(listed(contents, /^\| \[.+?\]\((.+?)\) \|/gm).map((path) => `docs/${path}`)).toEqual(wanted);
  expect(listed(pages.get("llms.txt") ?? "", /^- \[.+?\]\((.+?)\)/gm)).toEqual(wanted);
});

/** The first cells of a page's tables. */
function cellsOf(path: string): readonly string[] {
  return [...(pages.get(path) ?? "").matchAll(/^\| `([\w.]+)`/gm)].map(([, name]) => name ?? "");
}

/** The names that a plain search finds in a part of a file. */
function namesIn(file: string, start: string, pattern: RegExp): readonly string[] {
  const source = readFileSync(inRepository(file), "utf8");
  const from = source.indexOf(start);
  const part = source.slice(from, source.indexOf("\n\n", from));
  return [...part.matchAll(pattern)].map(([, name]) => name ?? "");
}

test("W71: the reference explains every error code, every event and every option of a dispatch, and no other", () => {
  const member = /^ {2}readonly (\w+)\??:/gm;
  const codes = namesIn("src/error_codes.ts", "export type ErrorCode", /^ {2}\| "([A-Z_]+)"/gm);
  const events = namesIn("src/events/events.ts", "export interface EventMap", member);
  const settings = namesIn("src/relay/prepare.ts", "export interface JobSettings", member);
  expect(Math.min(codes.length, events.length, settings.length)).toBeGreaterThan(9);
  expect(cellsOf("docs/reference/errors.md")).toEqual(codes);
  expect(cellsOf("docs/reference/events.md")).toEqual(events);
  expect(membersOf("src/relay/prepare.ts", "JobSettings").map(({ name }) => name)).toEqual(settings);
  expect(textsOf("src/error_codes.ts", "ErrorCode").map(({ name }) => name)).toEqual(codes);
});

test.each([
  ["src/relay/relay_options.ts", "RelayOptions"],
  ["src/worker/settings.ts", "WorkerOptions"],
  ["src/jobs/definitions.ts", "JobOptions"],
])("no member of %s, %s is left out of the page of options", (file, name) => {
  const found = namesIn(file, `export interface ${name}`, /^ {2}readonly (\w+)\??:/gm);
  expect(found.length).toBeGreaterThan(5);
  expect(cellsOf("docs/reference/options.md")).toEqual(expect.arrayContaining([...found]));
});
