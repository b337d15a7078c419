/** Servers are unpacked from the archive of Debian that the machine is configured with, and from no other. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { archive } from "../../scripts/lib/debian.mjs";

/** Two hosts of archives. */
const [ONE, TWO] = ["http://one.example", "http://two.example"];

/** A folder of apt's settings that holds these files. */
function settings(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "relevo-apt-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "sources.list.d"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

test.each([
  ["a line", { "sources.list": `deb ${ONE}/debian stable main\n` }],
  ["a line with options", {
    "sources.list": `deb [signed-by=/k.gpg] ${ONE}/debian/ stable main\n`,
  }],
  ["a stanza", {
    "sources.list.d/debian.sources": `Types: deb\nURIs: ${ONE}/debian\nSuites: stable\n`,
  }],
  ["a line behind those of others", {
    "sources.list": `deb ${TWO}/ubuntu stable main\n`,
    "sources.list.d/own.list": `deb ${ONE}/debian stable main\n`,
  }],
])("the archive is found in %s", (_, files) => {
  expect(archive(settings(files))).toBe(`${ONE}/debian`);
});

test.each([
  ["nothing", {}],
  ["another distribution's archive", { "sources.list": `deb ${TWO}/ubuntu stable main\n` }],
  ["a line that is commented out", { "sources.list": `# deb ${ONE}/debian stable main\n` }],
  ["another archive of Debian's", {
    "sources.list": `deb ${ONE}/debian-security stable main\n`,
  }],
])("with %s configured there is no archive, and no other is made up", (_, files) => {
  expect(() => archive(settings(files))).toThrow(
    expect.objectContaining({ message: "no archive of Debian is configured here", hopeless: true }),
  );
});

test("a machine without settings of apt has no archive", () => {
  expect(() => archive(join(tmpdir(), "relevo-no-apt"))).toThrow("no archive of Debian is configured here");
});
