/** The seeds' own programs and adapters: F004 to F008, F029, F030, F111, F121, F122, F136, F141, F142. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { startNats } from "../support/servers/nats.ts";
import { describeOn, owned } from "../support/servers/owned.ts";
import { spawnScript } from "../support/spawn.ts";

async function prints(name: string, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const file = (ending: string): URL => new URL(`../../../examples/seeds/${name}.${ending}`, import.meta.url);
  const child = spawnScript(file("ts"), [], { env });
  onTestFinished(() => child[Symbol.asyncDispose]());
  let output = "";
  for await (const line of child.lines) output += `${line}\n`;
  expect(output, child.stderr()).toBe(readFileSync(file("out"), "utf8"));
  expect(await child.exited).toEqual({ code: 0, signal: null });
}

test.each([
  ["003-jobs", "F004 to F007, F029, F030: jobs, listeners and options of seed 003"],
  ["003-retry", "F121, F122: job and event dispatchers of seed 003, and its listener that fails twice"],
  ["002-worker", "F111: the worker of seed 002 whose setters return it"],
  ["004-mux", "F008, F136, F141, F142: the mux of seed 004 inside its default chain"],
  [
    "000-relay",
    "F001, F002, F101, F102: the relay of seed 000 with its orders, started, stopped and added to",
  ],
  ["002-welcome", "the welcome mail of seed 002"],
  ["003-sync", "F005, F120: the synchronous dispatcher of seed 003"],
  ["003-defer", "F022: a job of seed 003 that is deferred by a second, and one by an hour"],
  ["003-factory", "F161, F163: the factory of seed 003"],
  ["003-metrics", "F164: the gauge of seed 003"],
  ["003-minimum", "F004, F006: the smallest program of seed 003"],
])("%s: %s print what they are expected to", async (name) => await prints(name));

describeOn(["nats"], "On NATS", () => {
  const server = owned(() => startNats());

  test("F040, F044, F048 to F052: the broker of seed 001, as a bridge on a bare subject, acknowledges and refuses", async () => {
    await prints("001-nats", { NATS_URL: (await server()).url });
  });
});
