import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { rooms } from "./floors.ts";
import { filesBelow } from "./support/graph.ts";

test("docs/architecture.md names the rooms that the floors have, in their order, and what each may import", () => {
  const page = readFileSync(inRepository("docs/architecture.md"), "utf8");
  const table = page.split("| room | files | may import |\n")[1]?.split("\n\n")[0] ?? "";
  const rows = table.split("\n").slice(1).map((row) => row.slice(2, -2).split(" | "));
  const told = rows.map(([name, , uses]) => ({ name, uses }));
  const wanted = rooms.map(({ name, uses }) => ({ name, uses: uses.join(", ") || "nothing" }));
  expect(told).toEqual(wanted);
});

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  const titles = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) => title);
  return titles.map((title) => title.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-"));
}

test.each(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...filesBelow("docs", ".md")])(
  "every link of %s leads to a file, and to a heading that is there",
  (file) => {
    const page = readFileSync(inRepository(file), "utf8");
    const targets = [...page.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    const broken = targets.filter((target) => {
      if (target.startsWith("https:")) return false;
      const [path = "", anchor] = target.split("#");
      const linked = path === "" ? inRepository(file) : join(inRepository(file), "..", path);
      if (!existsSync(linked)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(linked, "utf8")).includes(anchor);
    });
    expect(broken).toEqual([]);
  },
);

test("every file of src that the pages for changers name is there", () => {
  const pages = ["docs/architecture.md", "docs/walks.md", ...filesBelow("docs/transports", "_insides.md")];
  const gone = pages.flatMap((page) => {
    const text = readFileSync(inRepository(page), "utf8");
    const [, transport] = /(\w+)_insides\.md$/.exec(page) ?? [];
    const whole = [...text.matchAll(/`(src\/[\w./]+)`/g)].map(([, path = ""]) => path);
    // A page of the whole house names a file with its folder, a page of a transport without the transport's own.
    const short = [...text.matchAll(/`((?!src\/|tests\/|scripts\/|bench\/)[\w/]+\.ts)`/g)]
      .map(([, path = ""]) => path)
      .filter((path) => transport !== undefined || path.includes("/"))
      .map((path) => `src/${transport === undefined ? "" : `transports/${transport}/`}${path}`);
    return [...whole, ...short].filter((path) => !existsSync(inRepository(path))).map((path) =>
      `${page}: ${path}`
    );
  });
  expect(gone).toEqual([]);
});

const { exports: entries }: { readonly exports: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(inRepository("deno.json"), "utf8"),
);

test.each(Object.entries(entries))(
  "the page of the entry %s opens with what it is for, and a program or command",
  (_, file) => {
    const [head = ""] = readFileSync(inRepository(file), "utf8").split("*/");
    const [first = ""] = head.replace("/**", "").split(/\n \*\n/);
    expect(first.replaceAll(/\s*\n \* /g, " ")).toMatch(/^ ?[A-Z][^.]+\.|: /);
    const until = head.split("```")[0]?.split("\n").length ?? Infinity;
    expect(until, "lines before its first program").toBeLessThan(10);
    expect(head).toMatch(/```(ts|sh)\n/);
  },
);
