import { expect, test } from "vitest";
import { bundle, isNode, type Part, without } from "../workerd/support/bundle.ts";

/** The client for TCP, which needs Node's sockets. */
const TCP = /node_modules\/@nats-io\/transport-node\//;
const PATIENCE = 60_000;

const outside = (parts: readonly Part[]): readonly string[] => {
  const own = new Set(parts.map(({ name }) => name));
  return parts.flatMap(({ imports }) => imports).filter((name) => !own.has(name));
};

test("the core is one part that loads nothing, now or later", async () => {
  const { parts, asking } = await bundle("mod.ts");
  expect(parts).toHaveLength(1);
  expect(parts[0]).toMatchObject({ imports: [], later: [] });
  expect(parts[0]?.files.filter((file) => file.includes("node_modules"))).toEqual([]);
  expect(asking).toEqual([]);
}, PATIENCE);

test("of NATS only the client for TCP asks for modules of Node's", async () => {
  const { asking } = await bundle("src/transports/nats/mod.ts");
  expect(asking.map(([file]) => file).filter((file) => !TCP.test(file))).toEqual([]);
  // An asker would be seen.
  expect(asking.map(([, module]) => module)).toContain("node:net");
}, PATIENCE);

test("NATS over WebSocket is whole without the client for TCP", async () => {
  const all = await bundle("src/transports/nats/mod.ts");
  const web = without(all, TCP);
  expect(outside(web)).toEqual([]);
  expect(web.flatMap(({ files }) => files).filter((file) => TCP.test(file))).toEqual([]);
  expect(web.flatMap(({ files }) => files).some((file) => file.includes("@nats-io/nats-core"))).toBe(true);
  expect(outside(all.parts).filter(isNode)).toContain("node:net");
}, PATIENCE);

test("neither NATS nor its clients are loaded before they are wanted", async () => {
  const { parts } = await bundle("src/transports/nats/mod.ts");
  expect(parts[0]?.imports).toEqual([]);
  expect(parts[0]?.files.filter((file) => file.includes("node_modules"))).toEqual([]);
}, PATIENCE);
