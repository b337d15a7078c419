import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, matchesGlob } from "node:path";
import { publint } from "publint";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { run } from "../../scripts/lib/run.mjs";
import { binaryOf, type RuntimeName, toolNode } from "../../scripts/lib/runtimes.mjs";
import { toolEnvironment } from "../../scripts/lib/tools.mjs";
import { compatibilityDate } from "../workerd/support/dates.ts";
import { installPacked, pack } from "./support/packed.ts";

const folder = mkdtempSync(join(tmpdir(), "relevo package "));
const installed = join(folder, "node_modules", "@relevo", "relevo");
const env = toolEnvironment();
const { exports: entries, bin } = JSON.parse(readFileSync(inRepository("package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, { readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
};

let tarball = "";

beforeAll(async () => {
  tarball = await pack(folder);
  await installPacked(tarball, folder);
}, 490_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the package holds compiled code, its types, docs, examples, a licence and nothing else", () => {
  const files = readdirSync(installed, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
  expect(files).toContain("LICENSE");
  const others = files.filter((name) => !/\.(js|d\.ts)$/.test(name) && !/\.(md|ts|out)$/.test(name));
  expect(others.filter((name) => !/^(LICENSE|llms\.txt|package\.json|README\.md|CHANGELOG\.md)$/.test(name)))
    .toEqual(
      [],
    );
});

test("the code is a file for each entry point and parts that they share, none with another entry's transport", () => {
  const wanted = [...Object.values(entries).map((entry) => entry.default), ...Object.values(bin)];
  const dist = join(installed, "dist");
  const code = readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".js"))
    .map((file) => `./dist/${file.replaceAll("\\", "/")}`);
  const shared = code.filter((file) => file.startsWith("./dist/chunks/"));
  expect(code.filter((file) => !shared.includes(file)).sort()).toEqual(wanted.sort());
  expect(shared.length).toBeLessThan(2 * wanted.length);
  const held = code.flatMap((file) => {
    const sources = readFileSync(join(installed, file), "utf8").matchAll(
      /^\/\/(?:#region)? ?src\/transports\/(nats|redis|sqlite)\//gm,
    );
    return [...new Set([...sources].map(([, transport]) => `${transport} in ${file}`))];
  });
  expect(held.sort()).toEqual(
    ["nats", "redis", "sqlite"].map((name) => `${name} in ./dist/src/transports/${name}/mod.js`),
  );
});

test("whatever the README links to is shipped, to npm and to JSR", () => {
  const { publish } = JSON.parse(readFileSync(inRepository("jsr.json"), "utf8")) as {
    readonly publish: { readonly include: readonly string[] };
  };
  const readme = readFileSync(inRepository("README.md"), "utf8");
  const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
  expect(links.length).toBeGreaterThan(0);
  expect(links.filter((target) => !existsSync(join(installed, target)))).toEqual([]);
  expect(links.filter((target) => !publish.include.some((pattern) => matchesGlob(target, pattern)))).toEqual(
    [],
  );
});

test("the package brings the dependencies that it names, and these bring none", () => {
  const { dependencies } = JSON.parse(readFileSync(inRepository("package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const brought = readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."));
  expect(brought).toEqual(["@relevo", ...Object.keys(dependencies)]);
});

test("publint finds nothing in the tarball", async () => {
  const { messages } = await publint({ pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer } });
  expect(messages).toEqual([]);
});

test("the types of every entry are found by programs that import, as attw tries them", async () => {
  const attw = inRepository("node_modules/@arethetypeswrong/cli/dist/index.js");
  const args = [attw, tarball, "--profile", "esm-only", "--no-color"];
  const { code, output } = await run(toolNode(), args, { timeout: 240_000, env });
  expect(code, output).toBe(0);
}, 250_000);

/** A program of a user's, whatever runs it. */
const PROGRAM = `import { createRelay } from "@relevo/relevo";
const number = { "~standard": { version: 1, vendor: "here", validate: (value) => ({ value }) } };
export async function main(log) {
  const relay = createRelay({ jobs: { n: number } });
  relay.handle("n", (value) => log("handled " + value));
  await relay.dispatch("n", 42);
  await relay.drain({ limit: 10 });
  await relay.close();
}
`;

test.each<[RuntimeName, readonly string[]]>([
  ["node22", []],
  ["bun", []],
  ["deno", ["run", "--node-modules-dir=manual"]],
])(
  "a fresh project on %s dispatches and handles a job, without any flag or permission",
  async (name, before) => {
    writeFileSync(join(folder, "main.js"), `${PROGRAM}await main(console.log);`);
    const { code, output } = await run(binaryOf(name) ?? name, [...before, "main.js"], {
      timeout: 110_000,
      env,
      cwd: folder,
    });
    expect({ code, output }).toEqual({ code: 0, output: "handled 42\n" });
  },
);

test(
  "a fresh project of a Worker, bundled, dispatches and handles a job in workerd without any flag",
  async () => {
    const entry = join(folder, "worker.js");
    const handler = `{ async test() {
    const lines = [];
    await main((line) => lines.push(line));
    if (lines.join() !== "handled 42") throw new Error(lines.join());
  } }`;
    writeFileSync(entry, `${PROGRAM}export default ${handler};`);
    await build({
      configFile: false,
      root: folder,
      logLevel: "error",
      ssr: { target: "webworker", noExternal: true },
      build: {
        ssr: entry,
        outDir: join(folder, "worker"),
        rolldownOptions: { output: { entryFileNames: "main.js" } },
      },
    });
    writeFileSync(
      join(folder, "worker", "config.capnp"),
      `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .worker)]);
const worker :Workerd.Worker = (
  modules = [(name = "main.js", esModule = embed "main.js")],
  compatibilityDate = "${compatibilityDate}",
);
`,
    );
    const args = ["test", join(folder, "worker", "config.capnp")];
    const { code, output } = await run(binaryOf("workerd") ?? "workerd", args, { timeout: 110_000, env });
    expect(code, output).toBe(0);
  },
  120_000,
);

/** Its types and its calls are those of a package that a program which traces has. */
const NEEDS_A_PEER = ["./otel"];

test.each<[RuntimeName, readonly string[]]>([
  ["node22", ["--disable-warning=ExperimentalWarning"]],
  ["bun", []],
  ["deno", ["run", "--node-modules-dir=manual", "-A"]],
])("every entry point can be imported on %s, beside all others", async (name, before) => {
  const names = Object.keys(entries).filter((entry) => !NEEDS_A_PEER.includes(entry));
  const lines = names.map((entry) => `await show(${JSON.stringify(entry.replace(".", "@relevo/relevo"))});`);
  writeFileSync(
    join(folder, `entries-${name}.js`),
    `const show = async (entry) => console.log(entry, Object.keys(await import(entry)).length > 0);
${lines.join("\n")}`,
  );
  const { code, output } = await run(binaryOf(name) ?? name, [...before, `entries-${name}.js`], {
    timeout: 110_000,
    env,
    cwd: folder,
  });
  const wanted = names.map((entry) => `${entry.replace(".", "@relevo/relevo")} true\n`).join("");
  expect({ code, output }).toEqual({ code: 0, output: wanted });
});

test("an error of the core is the same class for every entry point", async () => {
  const program = `import { RelevoError, TransportError } from "@relevo/relevo";
    import { connect } from "@relevo/relevo/connect";
    import { testRelay } from "@relevo/relevo/testing";
    const thrown = await connect("redis://127.0.0.1:1").catch((error) => error);
    const relay = testRelay({});
    const refused = await relay.dispatch("none", 1).catch((error) => error);
    console.log(thrown instanceof TransportError, refused instanceof RelevoError);`;
  const { code, output } = await run(
    binaryOf("node22") ?? toolNode(),
    ["--input-type=module", "-e", program],
    {
      timeout: 110_000,
      env,
      cwd: folder,
    },
  );
  expect({ code, output }).toEqual({ code: 0, output: "true true\n" });
});

test("the package's program runs where it is installed", async () => {
  const program = join(installed, "dist", "src", "cli", "bin.js");
  const { code, output } = await run(binaryOf("node22") ?? toolNode(), [program, "--help"], {
    timeout: 110_000,
    env,
    cwd: folder,
  });
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("Usage: relevo <command>") });
});

test("Redis without its package says what to install", async () => {
  const { code, output } = await run(
    binaryOf("node22") ?? toolNode(),
    [
      "--input-type=module",
      "-e",
      `import { connect } from "@relevo/relevo/connect";
      await connect("redis://127.0.0.1:1").catch(({ code, message }) => console.log(code, message));`,
    ],
    { timeout: 110_000, env, cwd: folder },
  );
  expect(code).toBe(0);
  expect(output).toMatch(/^TRANSPORT_INCOMPATIBLE .*npm install redis@6/);
});
