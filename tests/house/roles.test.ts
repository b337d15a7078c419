import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { extras, isNamed, roles } from "./roles.ts";
import { filesBelow } from "./support/graph.ts";

const FOLDER = "src/transports";
const transports = Object.keys(extras);
const pathsOf = (transport: string): readonly string[] =>
  filesBelow(`${FOLDER}/${transport}`, ".ts").map((file) => file.slice(`${FOLDER}/${transport}/`.length));

test.each(transports)(
  "each file of %s has the name of its role, or is in a room that is named",
  (transport) => {
    expect(pathsOf(transport).filter((path) => !isNamed(transport, path))).toEqual([]);
  },
);

test.each(transports)("each further room of %s is there, and no role is named as one", (transport) => {
  const names = Object.keys(extras[transport] ?? {});
  const paths = pathsOf(transport);
  expect(names.filter((name) => !paths.some((path) => path === `${name}.ts` || path.startsWith(name))))
    .toEqual([]);
  expect(names.filter((name) => roles.includes(name.replace("/", "")))).toEqual([]);
});

test("every folder of a transport is checked, but for the bridge to bare brokers, which is over the memory transport", () => {
  const folders = new Set(
    filesBelow(FOLDER, ".ts").map((file) => file.slice(FOLDER.length + 1).split("/")[0]),
  );
  folders.delete("broker");
  expect([...folders].sort()).toEqual([...transports].sort());
});

test("a file with a name of its own beside the roles is found", () => {
  expect(isNamed("redis", "settlements.ts")).toBe(false);
  expect(isNamed("redis", "elsewhere/push.ts")).toBe(false);
  expect(isNamed("redis", "push_packed.ts")).toBe(true);
});

test("docs/architecture.md says the meaning of every role", () => {
  const page = readFileSync(inRepository("docs/architecture.md"), "utf8");
  const [table = ""] = (page.split("| file | role |\n")[1] ?? "").split("\n\n");
  const named = table.split("\n").flatMap((row) => [...(row.split(" | ")[0] ?? "").matchAll(/`(\w+)`/g)]);
  expect(named.map(([, name]) => name).sort()).toEqual([...roles].sort());
});
