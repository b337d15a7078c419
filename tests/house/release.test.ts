import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { toolNode } from "../../scripts/lib/runtimes.mjs";
import { suites } from "../../scripts/lib/suites.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";

const PATIENCE = 300_000;
const folder = ".github/workflows";
const workflows = readdirSync(inRepository(folder)).map((file) =>
  readFileSync(inRepository(`${folder}/${file}`), "utf8")
);
const { scripts } = JSON.parse(readFileSync(inRepository("package.json"), "utf8"));

function release(...args: readonly string[]): ReturnType<typeof run> {
  return run(toolNode(), [inRepository("scripts/release.mjs"), ...args], {
    timeout: PATIENCE,
    env: toolEnvironment(),
  });
}

test("every command of the workflows is one of the package's own scripts", () => {
  const commands = workflows.flatMap((text) =>
    [...text.matchAll(/^\s*- run: (.*)$/gm)].map(([, line]) => line)
  );
  expect(commands.length).toBeGreaterThan(3);
  for (const command of commands) {
    const name = /^npm (?:run )?([\w:]+)(?: -- .*)?$/.exec(command ?? "")?.[1];
    expect(Object.keys(scripts), command).toContain(name);
  }
});

test("the workflow of the tests names every suite", () => {
  const [matrix = ""] = workflows.flatMap((text) => /suite:\n((?: +- [\w-]+\n)+)/.exec(text)?.[1] ?? []);
  const named = [...matrix.matchAll(/- ([\w-]+)/g)].map(([, name]) => name);
  expect(named.sort()).toEqual(suites.map(({ name }) => name).sort());
});

test("a dry run of the release to npm finds nothing to refuse; that to JSR is one of the tools", async () => {
  const { code, output } = await release("npm", "--dry-run");
  expect(code, output).toBe(0);
}, PATIENCE);

test("a release to another registry, or with another flag, is refused", async () => {
  for (const args of [[], ["yarn"], ["npm", "--tag"]]) {
    const { code, output } = await release(...args);
    expect([code, output]).toEqual([2, expect.stringContaining("must be 'jsr' or 'npm'")]);
  }
}, PATIENCE);

test(
  "a release is refused while no repository is named, as nothing could attest where it came from",
  async () => {
    const { repository } = JSON.parse(readFileSync(inRepository("package.json"), "utf8"));
    expect(repository).toBeUndefined();
    const { code, output } = await release("npm");
    expect([code, output]).toEqual([1, expect.stringContaining("package.json names no 'repository'")]);
  },
  PATIENCE,
);
