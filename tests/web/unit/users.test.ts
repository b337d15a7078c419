import { expect, test } from "vitest";
import { createRelay, memory, type Transport } from "../../../mod.ts";
import { usersOf } from "../../../src/flow/users.ts";

/** A memory transport, and whether it was disposed of. */
function counted(): { readonly transport: Transport; readonly ends: () => number } {
  const inner = memory();
  let ends = 0;
  const transport: Transport = {
    ...inner,
    [Symbol.asyncDispose]() {
      ends++;
      return inner[Symbol.asyncDispose]();
    },
  };
  return { transport, ends: () => ends };
}

const WAYS: readonly (readonly [string, (transport: Transport) => Transport])[] = [
  ["itself", (transport) => transport],
  [
    "a copy with a call replaced",
    (transport) => ({ ...transport, push: (...rest) => transport.push(...rest) }),
  ],
  ["an object that inherits from it", (transport) => Object.create(transport)],
  ["a proxy of it", (transport) => new Proxy(transport, {})],
];

test.each(WAYS)(
  "relays on a transport and on %s share it: the last that closes disposes of it",
  async (_, copy) => {
    const { transport, ends } = counted();
    const first = createRelay({ jobs: {}, transport });
    const second = createRelay({ jobs: {}, transport: copy(transport) });
    await second.close();
    expect(ends()).toBe(0);
    await first.close();
    expect(ends()).toBe(1);
  },
);

test("a transport that says itself how it is disposed of is another one", async () => {
  const { transport, ends } = counted();
  const kept: Transport = { ...transport, [Symbol.asyncDispose]: () => Promise.resolve() };
  await createRelay({ jobs: {}, transport: kept }).close();
  expect(ends()).toBe(0);
  await createRelay({ jobs: {}, transport }).close();
  expect(ends()).toBe(1);
});

test("objects of one class are transports of their own, though one function disposes of all", () => {
  class Store implements AsyncDisposable {
    [Symbol.asyncDispose](): Promise<void> {
      return Promise.resolve();
    }
  }
  const [one, other] = [new Store(), new Store()];
  expect(usersOf(one)).toBe(usersOf(one));
  expect(usersOf(one)).not.toBe(usersOf(other));
});
