/** The seeds' own programs and adapters: F004 to F008, F029, F030, F111, F121, F122, F136, F141, F142. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { spawnScript } from "../support/spawn.ts";

test.each([
  ["003-jobs", "F004 to F007, F029, F030: jobs, listeners and options of seed 003"],
  ["003-retry", "F121, F122: job and event dispatchers of seed 003, and its listener that fails twice"],
  ["002-worker", "F111: the worker of seed 002 whose setters return it"],
  ["004-mux", "F008, F136, F141, F142: the mux of seed 004 inside its default chain"],
])("%s: %s print what they are expected to", async (name) => {
  const file = (ending: string): URL => new URL(`../../../examples/seeds/${name}.${ending}`, import.meta.url);
  const child = spawnScript(file("ts"));
  onTestFinished(() => child[Symbol.asyncDispose]());
  let output = "";
  for await (const line of child.lines) output += `${line}\n`;
  expect(output, child.stderr()).toBe(readFileSync(file("out"), "utf8"));
  expect(await child.exited).toEqual({ code: 0, signal: null });
});
