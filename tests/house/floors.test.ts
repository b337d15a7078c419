import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { inRepository } from "../../scripts/lib/paths.mjs";
import { cornerOf, roomOf } from "./floors.ts";
import { filesBelow, type Graph, graphOf } from "./support/graph.ts";

const files = ["mod.ts", ...filesBelow("src", ".ts")];
let house: Graph = new Map();
let core: Graph = new Map();

beforeAll(async () => {
  [house, core] = await Promise.all([graphOf(files), graphOf(["mod.ts"])]);
});

test("every file of the house has a room", () => {
  expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
});

test("imports go down only", () => {
  const wrong: string[] = [];
  for (const [file, targets] of house) {
    const room = roomOf(file);
    for (const target of targets) {
      const other = roomOf(target);
      if (room === undefined || other === undefined) continue;
      if (room !== other && !room.uses.includes(other.name)) {
        wrong.push(`${file} (${room.name}) -> ${target} (${other.name})`);
      }
    }
  }
  expect(wrong).toEqual([]);
});

test("a transport never imports another transport", () => {
  const wrong: string[] = [];
  for (const [file, targets] of house) {
    const room = roomOf(file);
    if (room?.apart !== true) continue;
    for (const target of targets) {
      if (roomOf(target) === room && cornerOf(target) !== cornerOf(file)) wrong.push(`${file} -> ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("no file imports itself by a circle", () => {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      circles.push([...path.slice(start), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const target of house.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of house.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

test("no chain of imports within the transport of NATS has more than nine files", () => {
  const chains = new Map<string, readonly string[]>();
  const chainOf = (file: string): readonly string[] => {
    const known = chains.get(file);
    if (known !== undefined) return known;
    const below = [...house.get(file) ?? []].filter((target) => target.startsWith("src/transports/nats/"));
    const longest = below.map(chainOf).reduce((a, b) => b.length > a.length ? b : a, []);
    chains.set(file, [file, ...longest]);
    return [file, ...longest];
  };
  expect(chainOf("src/transports/nats/mod.ts").length).toBeGreaterThan(1);
  expect(
    [...house.keys()].map(chainOf).filter(({ length }) => length > 9)
      .filter(([file]) => file?.startsWith("src/transports/nats/")),
  ).toEqual([]);
});

test("no file in src has more than 400 lines", () => {
  const lines = (file: string): number =>
    readFileSync(inRepository(file), "utf8").trimEnd().split("\n").length;
  expect(files.filter((file) => lines(file) > 400)).toEqual([]);
});

test("the core imports nothing but its own files", () => {
  const wrong: string[] = [];
  for (const [file, targets] of core) {
    for (const target of targets) {
      if (target !== "mod.ts" && !target.startsWith("src/")) wrong.push(`${file} -> ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("the core reaches no transport that needs more than web standards", () => {
  const reached = [...core.keys()].filter((file) => roomOf(file)?.name === "transports").map(cornerOf);
  expect([...new Set(reached)].filter((name) => name !== "memory" && name !== "broker")).toEqual([]);
});

test("SQLite needs no package", () => {
  const wrong: string[] = [];
  for (const [file, targets] of house) {
    if (!file.startsWith("src/transports/sqlite/")) continue;
    for (const target of targets) {
      if (!target.startsWith("src/") && !target.startsWith("node:")) wrong.push(`${file} -> ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
