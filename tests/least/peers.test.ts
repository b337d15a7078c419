import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { pack, runNpm } from "../house/support/packed.ts";

/** Projects that have an older client of a broker already: the package installs beside it, and says what it needs. */
const OLDER = [
  { name: "redis", alias: "redis-4", version: "4.7.1", client: "a client of node-redis 4 or older" },
  { name: "redis", alias: "redis-5", version: "5.12.1", client: "a client of node-redis 5" },
] as const;

const folder = mkdtempSync(join(tmpdir(), "relevo peers "));
let tarball = "";

beforeAll(async () => {
  tarball = await pack(folder);
}, 490_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runScript(project: string, code: string): Promise<string> {
  writeFileSync(join(project, "program.mjs"), code);
  const result = await run(
    binaryOf("node24") ?? toolNode(),
    ["--disable-warning=ExperimentalWarning", "program.mjs"],
    { timeout: 240_000, env: toolEnvironment(), cwd: project },
  );
  expect(result.code, result.output).toBe(0);
  return result.output;
}

/** A project that depends on an older package, as its own author has it. */
async function projectWith(name: string, alias: string): Promise<string> {
  const project = join(folder, alias);
  mkdirSync(project);
  const dependencies = { [name]: `file:${inRepository(`tests/least/node_modules/${alias}`)}` };
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies }),
  );
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--strict-peer-deps"];
  await runNpm(["install", ...options, tarball], project);
  return project;
}

describe.each(OLDER)("beside $name $version", ({ name, alias, version, client }) => {
  let project = "";

  beforeAll(async () => {
    project = await projectWith(name, alias);
  }, 250_000);

  test("the package installs, and SQLite works", async () => {
    const output = await runScript(
      project,
      `import { createRelay } from "@relevo/relevo";
      import { connect } from "@relevo/relevo/connect";
      const any = { "~standard": { version: 1, vendor: "here", validate: (value) => ({ value }) } };
      await using relay = createRelay({ jobs: { n: any }, transport: await connect("sqlite:jobs.db") });
      relay.handle("n", (value) => console.log("handled " + value));
      await relay.dispatch("n", 42);
      await relay.drain();`,
    );
    expect(output).toBe("handled 42\n");
  });

  test("a connection says which version is needed and which is there", async () => {
    const output = await runScript(
      project,
      `import { connect } from "@relevo/relevo/connect";
      await connect("redis://127.0.0.1:1").catch(({ code, message }) => console.log(code, message));`,
    );
    expect(output).toBe(
      `TRANSPORT_INCOMPATIBLE Cannot use Redis: redis 6 is needed, this is ${version} (npm install redis@6)\n`,
    );
  });

  test("a client that is handed over is refused with its version, and one of a Cluster too", async () => {
    const output = await runScript(
      project,
      `import { createClient, createCluster } from "redis";
      import { redis } from "@relevo/relevo/redis";
      const url = "redis://127.0.0.1:1";
      for (const client of [createClient({ url }), createCluster({ rootNodes: [{ url }] })]) {
        try {
          redis({ client });
        } catch (error) {
          console.log(error.name, error.message);
        }
      }`,
    );
    const line = `TypeError Cannot use Redis as 'client' must be made by createClient or createCluster of ` +
      `node-redis 6: current value is ${client}\n`;
    expect(output).toBe(line + line);
  });
});

test("a connection of the package nats 2 is refused with what is needed", async () => {
  const project = await projectWith("nats", "nats-2");
  const output = await runScript(
    project,
    `import { NatsConnectionImpl } from "nats/lib/nats-base-client/nats.js";
    import { nats } from "@relevo/relevo/nats";
    try {
      nats({ connection: Object.create(NatsConnectionImpl.prototype) });
    } catch (error) {
      console.log(error.name, error.message);
    }`,
  );
  expect(output).toContain(
    "TypeError Cannot use NATS as 'connection' must be a NatsConnection of an @nats-io",
  );
  expect(output).toContain("current value is one of the package 'nats' 2: @nats-io 3 is needed");
}, 250_000);
