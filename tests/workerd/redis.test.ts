/** Redis from bare workerd with Node's compatibility: a bundle, as users deploy one, and a client per invocation. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build } from "vite";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { binaryOf } from "../../scripts/lib/runtimes.mjs";
import { freePorts } from "../server/support/servers/ports.ts";
import { type RedisServer, startRedis } from "../server/support/servers/redis.ts";

const folder = mkdtempSync(join(tmpdir(), "relevo-workerd-redis-"));
let server: RedisServer;

beforeAll(async () => {
  server = await startRedis();
  await build({
    configFile: false,
    logLevel: "silent",
    root: inRepository(""),
    ssr: { noExternal: true },
    build: {
      ssr: inRepository("tests/workerd/servers/redis.ts"),
      outDir: folder,
      emptyOutDir: false,
      rolldownOptions: { output: { entryFileNames: "worker.js", codeSplitting: false } },
    },
  });
  // The bundler makes a `require` of the module's own address, which workerd does not tell.
  const bundle = join(folder, "worker.js");
  writeFileSync(bundle, readFileSync(bundle, "utf8").replaceAll("import.meta.url", `"file:///worker.js"`));
}, 120_000);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

test(
  "each invocation dispatches and handles over a client of its own, and leaves no connection behind",
  async () => {
    const [port = 0] = await freePorts(1);
    writeFileSync(
      join(folder, "config.capnp"),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-07-01",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [(name = "REDIS", text = "${server.url}")],
);
`,
    );
    const workerd = spawn(binaryOf("workerd") ?? "workerd", ["serve", join(folder, "config.capnp")], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    try {
      const get = async (id: string): Promise<unknown> =>
        (await fetch(`http://127.0.0.1:${port}/${id}`)).json();
      await expect.poll(() => get("first"), { timeout: 20_000 }).toEqual([["first", { hello: "first" }]]);
      for (const id of ["second", "third"]) expect(await get(id)).toEqual([[id, { hello: id }]]);
      const both = await Promise.all([get("fourth"), get("fifth")]);
      expect(both.flat().length).toBe(2);
      const clients = async (): Promise<readonly string[]> =>
        String(await server.send("CLIENT", "LIST")).trim().split("\n").filter((line) =>
          !line.includes("relevo-tests")
        );
      await expect.poll(clients).toEqual([]);
    } finally {
      workerd.kill("SIGKILL");
    }
  },
  60_000,
);
