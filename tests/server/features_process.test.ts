/** Features that take files and processes of their own: F003, F018, F037, F118. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, onTestFinished, test } from "vitest";
import { createRelay, TransportBusy } from "../../mod.ts";
import { sqlite } from "../../src/transports/sqlite/mod.ts";
import { free, rejection } from "../web/support/kit.ts";
import { filePlace } from "./support/place.ts";
import { spawnScript } from "./support/spawn.ts";

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "relevo-features-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Everything that a script says until its end. */
async function saidBy(script: string | URL, ...args: string[]): Promise<string[]> {
  await using child = spawnScript(script, args);
  const lines: string[] = [];
  for await (const line of child.lines) lines.push(line);
  expect(child.stderr()).toBe("");
  return lines;
}

test("F003, W35: names survive minification: one bundle dispatches, another handles, aliases too", async () => {
  const place = folder();
  const bundle = async (name: string): Promise<string> => {
    const outfile = join(place, `${name}.mjs`);
    await build({
      entryPoints: [fileURLToPath(new URL(`./fixtures/bundle_${name}.ts`, import.meta.url))],
      outfile,
      bundle: true,
      minify: true,
      platform: "node",
      format: "esm",
      target: "es2023",
      external: ["vitest"],
    });
    return outfile;
  };
  const [producer, consumer] = [await bundle("producer"), await bundle("consumer")];
  const path = join(place, "jobs.db");
  expect(await saidBy(producer, path)).toEqual(["dispatched"]);
  expect(await saidBy(consumer, path)).toEqual(["welcome 42", "renamed 43", "completed 2"]);
});

test("F037: a file that another keeps locked makes a dispatch reject within its deadline", async () => {
  const { path, relay: relayOn, runtime } = filePlace();
  const relay = relayOn({ job: free<number>() }, { callTimeout: 500 });
  await relay.dispatch("job", 1);
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  const start = runtime.monotonic();
  let after = Infinity;
  const refused = rejection(relay.dispatch("job", 2)).finally(() => after = runtime.monotonic() - start);
  await runtime.advance(1_000);
  expect(await refused).toBeInstanceOf(TransportBusy);
  expect(after).toBeLessThanOrEqual(501);
  other.exec("ROLLBACK");
  other.close();
  await relay.dispatch("job", 3);
  expect(await relay.info()).toMatchObject({ waiting: 2 });
});

test("F118: a worker killed between the handler's end and the settlement makes one more run, never none", async () => {
  const path = join(folder(), "jobs.db");
  await using relay = createRelay({ jobs: { job: free<string>() }, transport: sqlite({ path }) });
  await relay.dispatch("job", "x");
  await using child = spawnScript(new URL("./fixtures/dies_before_settling.ts", import.meta.url), [path]);
  expect(await child.until((line) => line.startsWith("ran"))).toBe("ran x");
  expect(await child.next()).toBe("about to settle");
  await child.exited;
  expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 1 });
  const ran = Promise.withResolvers<[string, number, number]>();
  relay.handle("job", (payload, { attempt, job }) => ran.resolve([payload, attempt, job.lost]));
  const worker = relay.worker({ poll: 100 });
  const run = worker.run();
  expect(await ran.promise).toEqual(["x", 1, 1]);
  await worker.stop();
  await run;
  expect(await relay.info()).toMatchObject({ waiting: 0, reserved: 0, delayed: 0 });
});

test("F018, W73: two processes that generate ids at the same time have none in common", async () => {
  const script = new URL("./fixtures/ids.ts", import.meta.url);
  const said = await Promise.all([saidBy(script), saidBy(script)]);
  const ids = said.flatMap(([line = ""]) => line.split(" "));
  expect(ids).toHaveLength(2_000);
  expect(new Set(ids).size).toBe(2_000);
});
