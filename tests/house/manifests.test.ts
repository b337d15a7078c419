import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { tools } from "../../scripts/lib/tools.mjs";
import { filesBelow } from "./support/graph.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
}

interface NpmManifest extends Omit<Manifest, "exports"> {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(inRepository(file), "utf8")) as T;
}

const npm = read<NpmManifest>("package.json");
const deno = read<Manifest>("deno.json");
const jsr = read<Manifest>("jsr.json");
const build = read<{ readonly files: readonly string[] }>("tsconfig.build.json");

test("the manifests agree on name, version and license", () => {
  const facts = ({ name, version, license }: Omit<Manifest, "exports">): unknown => ({
    name,
    version,
    license,
  });
  expect(facts(deno)).toEqual(facts(npm));
  expect(facts(jsr)).toEqual(facts(npm));
});

test("no file at the top is a shell's mistake", () => {
  expect(readdirSync(inRepository("")).filter((name) => !/^[\w.-]+$/.test(name))).toEqual([]);
});

test("the manifests agree on the entry points", () => {
  expect(jsr.exports).toEqual(deno.exports);
  const compiled = (source: string, ending: string): string =>
    source.replace("./", "./dist/").replace(/\.ts$/, ending);
  const wanted = Object.fromEntries(
    Object.entries(deno.exports).map(([name, source]) => [
      name,
      { types: compiled(source, ".d.ts"), default: compiled(source, ".js") },
    ]),
  );
  expect(npm.exports).toEqual(wanted);
});

test("the build and the tools know every entry point", () => {
  const sources = Object.values(deno.exports).map((source) => source.replace("./", ""));
  const programs = Object.values(npm.bin).map((path) => path.replace("./dist/", "").replace(/\.js$/, ".ts"));
  expect([...build.files].sort()).toEqual([...sources, ...programs].sort());
  const doc = tools().find(({ name }) => name === "doc");
  expect(doc?.args.filter((arg) => arg.endsWith(".ts")).toSorted()).toEqual(sources.toSorted());
});

test.each(Object.entries(deno.exports))("the file behind the entry point %s exists", (_name, source) => {
  expect(existsSync(inRepository(source))).toBe(true);
});

/** What each dependency is for: the rooms and files that may import it. */
const DEPENDENCIES: Readonly<Record<string, readonly string[]>> = {
  croner: ["src/cron/mod.ts"],
  devalue: ["src/codecs/rich.ts"],
  valibot: ["src/operate/", "src/config/"],
};

test("the package depends on nothing but what single entry points need", () => {
  expect(Object.keys(npm.dependencies ?? {})).toEqual(Object.keys(DEPENDENCIES));
});

test.each(Object.entries(DEPENDENCIES))("%s is imported by %s alone", (dependency, rooms) => {
  const pattern = new RegExp(
    `^(?:import|export|\\}) .*from "${dependency}"|import\\("${dependency}"\\)`,
    "m",
  );
  const importing = ["mod.ts", ...filesBelow("src", ".ts")].filter((file) =>
    pattern.test(readFileSync(inRepository(file), "utf8"))
  );
  expect(importing.filter((file) => !rooms.some((room) => file.startsWith(room)))).toEqual([]);
  for (const room of rooms) expect(importing.some((file) => file.startsWith(room)), room).toBe(true);
});

test.each([
  "package.json",
  "tests/runtimes/package.json",
  "tests/least/package.json",
  "scripts/node/package.json",
])(
  "%s pins every version exactly, and so does its lockfile",
  (file) => {
    const manifest = read<Readonly<Record<string, Readonly<Record<string, string>> | undefined>>>(file);
    const wanted = {
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    };
    const loose = Object.entries(wanted).filter(([, version]) =>
      !/^(npm:.+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)
    );
    expect(loose).toEqual([]);
    const lock = read<{ readonly packages: Readonly<Record<string, { readonly integrity?: string }>> }>(
      file.replace("package.json", "package-lock.json"),
    );
    const unlocked = Object.entries(lock.packages).filter(([name, { integrity }]) =>
      name !== "" && integrity === undefined
    );
    expect(unlocked).toEqual([]);
  },
);
