/** Values of another realm, as tests in a context of their own have them, are what they are: no `instanceof` says so. */
import { expect, test } from "vitest";
import { type Codec, createRelay, type Filter, fromBroker, json, raw, type Receive } from "../../../mod.ts";
import { aesGcm, keyRing, pipeline } from "../../../src/codecs/mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { free, rejection } from "../support/kit.ts";

/** An object as another realm makes it: of a prototype that this one does not know. */
function abroad<T extends object>(value: T): T {
  const own: object = Object.getPrototypeOf(value);
  const above: object = Object.getPrototypeOf(own);
  return Object.setPrototypeOf(value, Object.create(above, Object.getOwnPropertyDescriptors(own)));
}

function bytes(...values: number[]): Uint8Array {
  const made = abroad(new Uint8Array(values));
  expect(made).not.toBeInstanceOf(Uint8Array);
  return made;
}

test("bytes of another realm are bytes, of a payload, a codec, a filter and a key", async () => {
  const runtime = createFakeRuntime();
  const codec: Codec = { id: "one", encode: () => bytes(49), decode: ([byte]) => byte };
  const filter: Filter = { id: "same", apply: (given) => abroad(given.slice()), undo: (given) => given };
  const ring = keyRing("main", [{ id: "k", key: bytes(...new Array<number>(32).fill(7)) }]);
  const relay = createRelay({
    jobs: {
      raw: { schema: free<Uint8Array>(), codec: raw },
      one: { schema: free<unknown>(), codec },
      filtered: { schema: free<unknown>(), codec: pipeline(json, filter) },
      secret: { schema: free<unknown>(), codec: pipeline(json, aesGcm(ring)) },
    },
    runtime,
  });
  const seen: unknown[] = [];
  for (const name of ["raw", "one", "filtered", "secret"] as const) {
    relay.handle(name, (payload) => void seen.push(payload));
  }
  await relay.dispatch("raw", bytes(1, 2));
  await relay.dispatch("one", "x");
  await relay.dispatch("filtered", "y");
  await relay.dispatch("secret", "z");
  expect(await relay.drain({ concurrency: 1 })).toMatchObject({ completed: 4 });
  expect(seen).toEqual([new Uint8Array([1, 2]), 49, "y", "z"]);
  await relay.close();
});

test("a body of another realm is a body", async () => {
  const runtime = createFakeRuntime();
  let receive: Receive = () => Promise.resolve();
  const transport = fromBroker({
    publish: () => undefined,
    subscribe: (_, given) => void (receive = given),
    runtime,
  });
  const relay = createRelay({ jobs: { default: free<unknown>() }, transport, runtime });
  const seen: unknown[] = [];
  relay.handle("default", (payload) => void seen.push(payload));
  await relay.drain();
  const done = receive(bytes(53));
  await relay.drain();
  await done;
  expect(seen).toEqual([5]);
  await relay.close();
});

test("a Date of another realm is a Date, and an invalid one is none", async () => {
  const runtime = createFakeRuntime();
  const relay = createRelay({ jobs: { job: free<unknown>() }, runtime });
  await relay.dispatch("job", 1, { at: abroad(new Date(runtime.now() + 60_000)) });
  expect(await relay.info()).toMatchObject({ delayed: 1 });
  expect((await rejection(relay.dispatch("job", 1, { at: abroad(new Date(Number.NaN)) }))).message)
    .toContain("'at' must be a Date");
  expect((await rejection(relay.dispatch("job", { when: abroad(new Date(Number.NaN)) }))).message)
    .toContain("JSON does not hold an invalid Date at 'when'");
  await relay.close();
});
