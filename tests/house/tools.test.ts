import { expect, test } from "vitest";
import { run } from "../../scripts/lib/run.mjs";
import { toolEnvironment, tools } from "../../scripts/lib/tools.mjs";

test.each(tools())("$name: $claim", async ({ command, args }) => {
  const { code, output } = await run(command, args, { timeout: 300_000, env: toolEnvironment() });
  expect(code, output).toBe(0);
}, 310_000);
