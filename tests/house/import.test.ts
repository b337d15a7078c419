import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";

async function importing(module: string): Promise<{ readonly used: string; readonly code: number | null }> {
  const { output, code } = await run(
    toolNode(),
    ["--disable-warning=ExperimentalWarning", inRepository("tests/house/fixtures/pure-import.mjs"), module],
    { timeout: 110_000, env: toolEnvironment() },
  );
  return { used: output.trim(), code };
}

test.each(["mod.ts", "src/connect.ts", "src/transports/redis/mod.ts", "src/transports/sqlite/mod.ts"])(
  "importing %s starts, draws and opens nothing, and the process ends by itself",
  async (file) => {
    const module = pathToFileURL(inRepository(file)).href;
    expect(await importing(module)).toEqual({ used: "[]", code: 0 });
  },
);

test("an import that starts a timer or draws a number is noticed", async () => {
  const module = "data:text/javascript,Math.random();new Date();setTimeout(() => {}, 1)";
  expect(await importing(module)).toEqual({ used: '["Math.random","new Date","setTimeout"]', code: 0 });
});
