/** The Python programs of docs/recipes/producers.md, run against real servers, and their jobs handled. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { expect, test } from "vitest";
import * as v from "valibot";
import { createRelay, type Transport } from "../../mod.ts";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { nats } from "../../src/transports/nats/mod.ts";
import { redis } from "../../src/transports/redis/mod.ts";
import { startNats } from "./support/servers/nats.ts";
import { describeOn, owned } from "./support/servers/owned.ts";
import { startRedis } from "./support/servers/redis.ts";

const page = readFileSync(inRepository("docs/recipes/producers.md"), "utf8");
const blocks = [...page.matchAll(/^```python\n([^]*?)^```\n\n```text\n([^]*?)^```/gm)];
const programFor = (key: string): readonly [program: string, output: string] => {
  const [, program = "", output = ""] = blocks.find(([, text]) => text?.includes(key)) ?? [];
  if (program === "") throw new Error(`docs/recipes/producers.md must have a Python program with ${key}`);
  return [program, output];
};
/** Where there is no Python, nothing of it can be run: the page says so by its own words of Go. */
const hasPython = spawnSync("python3", ["--version"]).status === 0;
const order = v.object({ id: v.string(), amount: v.number() });
const jobs = {
  "order.paid": { schema: order, queue: "billing" },
  billing: { schema: order, queue: "billing" },
};

/** Runs a program of the page, and tells what a worker handles of it. */
async function handledOf(key: string, transport: Transport, url: string): Promise<readonly unknown[]> {
  const { hostname, port } = new URL(url);
  const [program, output] = programFor(key);
  await using relay = createRelay({ jobs, transport });
  const handled: unknown[] = [];
  for (const name of ["order.paid", "billing"] as const) {
    relay.handle(name, (payload) => void handled.push([name, payload]));
  }
  await relay.dispatch("billing", { id: "first", amount: 0 }); // makes what the queue needs in the store
  await relay.drain();
  const env = { ...process.env, [`${key}_HOST`]: hostname, [`${key}_PORT`]: port };
  const result = await run("python3", ["-c", program], { timeout: 110_000, env });
  expect(result.output).toBe(output);
  expect(result.code).toBe(0);
  await relay.drain();
  expect(handled[0]).toEqual(["billing", { id: "first", amount: 0 }]);
  return handled.slice(1);
}

describeOn(["redis7"], "A Python program of ten lines", () => {
  const server = owned(() => startRedis());
  test.runIf(hasPython)("adds a job on Redis that a worker handles under its name", async () => {
    const { url } = await server();
    expect(await handledOf("REDIS", redis({ url }), url)).toEqual([["order.paid", {
      id: "A1",
      amount: 9.99,
    }]]);
  });
});

describeOn(["nats"], "A Python program of ten lines", () => {
  const server = owned(() => startNats());
  test.runIf(hasPython)("adds a job on NATS that a worker handles under its queue's name", async () => {
    const { url } = await server();
    const transport = nats({ servers: url });
    expect(await handledOf("NATS", transport, url)).toEqual([["billing", { id: "A1", amount: 9.99 }]]);
  });
});
