import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { spawnScript } from "../support/spawn.ts";

test.each(["01-hello", "02-retries", "03-two-processes", "04-own-broker", "05-topics"])(
  "the example %s prints what it is expected to, and ends by itself",
  async (name) => {
    const file = (ending: string): URL => new URL(`../../../examples/${name}.${ending}`, import.meta.url);
    const child = spawnScript(file("ts"));
    onTestFinished(() => child[Symbol.asyncDispose]());
    let output = "";
    for await (const line of child.lines) output += `${line}\n`;
    expect(output, child.stderr()).toBe(readFileSync(file("out"), "utf8"));
    expect(await child.exited).toEqual({ code: 0, signal: null });
  },
);
