import { beforeAll, expect, test } from "vitest";
import { run } from "../../scripts/lib/run.mjs";
import { toolEnvironment, tools } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";

const LONGEST = 300_000;
const all = tools();
const PATIENCE = all.length * LONGEST;

/** Tools at a time: many of them keep one core busy and no more. */
const ROWS = 2;
/** What each tool printed, and how it ended: several claims may be about one run. */
let runs: ReadonlyMap<string, ReturnType<typeof run>> = new Map();

/** Starts every tool, each when the one before it in its row has ended. */
beforeAll(() => {
  const ends: Promise<unknown>[] = [];
  runs = new Map(all.map(({ name, command, args }, index) => {
    const start = (): ReturnType<typeof run> =>
      run(command, args, { timeout: LONGEST, env: toolEnvironment() });
    const ended = (ends[index - ROWS] ?? Promise.resolve()).then(start);
    ends.push(ended);
    return [name, ended];
  }));
});

function runOf(name: string): ReturnType<typeof run> {
  const ended = runs.get(name);
  if (ended === undefined) throw new Error(`There is no tool '${name}'`);
  return ended;
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
