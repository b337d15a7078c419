import process from "node:process";
import { expect, onTestFinished, test } from "vitest";
import { type Child, type SpawnOptions, spawnScript } from "./support/spawn.ts";

const script = new URL("./fixtures/echo.ts", import.meta.url);

function echo(args: readonly string[] = [], options: SpawnOptions = {}): Child {
  const child = spawnScript(script, args, options);
  onTestFinished(() => child[Symbol.asyncDispose]());
  return child;
}

test("a script runs under the runtime that runs the test", async () => {
  const runtime = "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";
  const child = echo(["one", "two words"], { env: { WORD: "hello" } });
  expect(JSON.parse(await child.next())).toEqual({ runtime, args: ["one", "two words"], word: "hello" });
});

test("a script's lines are read as they come, and its exit code after them", async () => {
  const child = echo();
  await child.next();
  child.write("a");
  expect(await child.next()).toBe("echo a");
  child.write("b");
  child.write("bye");
  const rest: string[] = [];
  for await (const line of child.lines) rest.push(line);
  expect(rest).toEqual(["echo b"]);
  expect(await child.exited).toEqual({ code: 3, signal: null });
});

test("a signal reaches the script, which may end in its own way", async () => {
  const child = echo();
  await child.next();
  child.kill();
  expect(await child.until((line) => line.startsWith("asked"))).toBe("asked to stop");
  expect((await child.exited).code).toBe(7);
});

test("a killed script is gone at once, and reading on says how it ended", async () => {
  const child = echo();
  await child.next();
  child.kill("SIGKILL");
  await expect(child.next()).rejects.toThrow("SIGKILL");
  expect((await child.exited).signal).toBe("SIGKILL");
});
