import { expect, test } from "vitest";
import { run } from "../../scripts/lib/run.mjs";
import { toolEnvironment, tools } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";

const PATIENCE = 310_000;
const all = tools();
/** What each tool printed, and how it ended: several claims may be about one run. */
const runs = new Map<string, ReturnType<typeof run>>();

function runOf(name: string): ReturnType<typeof run> {
  const tool = all.find((each) => each.name === name);
  if (tool === undefined) throw new Error(`There is no tool '${name}'`);
  const known = runs.get(name) ?? run(tool.command, tool.args, { timeout: 300_000, env: toolEnvironment() });
  runs.set(name, known);
  return known;
}

test.each(all)("$name: $claim", async ({ name }) => {
  const { code, output } = await runOf(name);
  expect(code, output).toBe(0);
}, PATIENCE);

/** The type checkers by the tools that run them over everything, the type tests among it. */
const CHECKERS = { tsc: "tsc", deno: "deno check" } as const;

test.each(
  filesBelow("tests/types", ".ts").flatMap((file) => [["tsc", file] as const, ["deno", file] as const]),
)(
  "%s finds in %s exactly the errors that it names",
  async (checker, file) => {
    const { output } = await runOf(CHECKERS[checker]);
    const errors = output.split(/\n(?=TS\d+|\S+\(\d+,\d+\): error)/).filter((part) => part.includes(file));
    expect(errors).toEqual([]);
  },
  PATIENCE,
);
