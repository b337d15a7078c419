import * as v from "valibot";
import { expect, test } from "vitest";
import { createRelay, UnencodableError } from "../../../mod.ts";
import { rich } from "../../../src/codecs/rich.ts";
import { bytes, rejection, textOf, thrown } from "../support/kit.ts";

const back = (value: unknown): unknown => rich.decode(rich.encode(value));

test("the codec 'rich' gives back what JSON cannot hold, at any depth", () => {
  const values: readonly unknown[] = [
    new Date(5),
    new Map<unknown, unknown>([["a", new Set([1, undefined])], [new Date(1), 2n]]),
    -(2n ** 70n),
    undefined,
    NaN,
    -Infinity,
    -0,
    new Uint8Array([0, 255]),
    new Float64Array([0.5, NaN]),
    new Uint8Array([1, 2]).buffer,
    // deno-lint-ignore no-sparse-arrays
    [1, , undefined],
    { a: undefined, "": null },
    /x+/gi,
    new URL("https://a.example/?b=1"),
    "a\0b\u2028 \ud800",
  ];
  for (const value of values) {
    expect(back(value)).toStrictEqual(value);
    expect(back({ deep: [value] })).toStrictEqual({ deep: [value] });
  }
  const cycle: Record<string, unknown> = { n: 1 };
  cycle["self"] = cycle;
  const read = back(cycle) as typeof cycle;
  expect(read["self"]).toBe(read);
  expect(rich.decode(new Uint8Array(0))).toBeUndefined();
});

test("of a view the codec 'rich' stores the bytes that it shows, and none of the memory around them", () => {
  const memory = bytes("secret 12 secret").buffer;
  for (
    const view of [new Uint8Array(memory, 7, 2), new DataView(memory, 7, 2), new Uint16Array(memory, 8, 1)]
  ) {
    const stored = rich.encode({ view });
    expect(textOf(stored)).not.toContain(btoa("secret").slice(0, 6));
    const { view: read } = rich.decode(stored) as { view: ArrayBufferView };
    expect(read.constructor).toBe(view.constructor);
    expect(read.byteLength).toBe(2);
    expect(read.buffer.byteLength).toBe(2);
    expect([...new Uint8Array(read.buffer)]).toEqual([...new Uint8Array(memory, view.byteOffset, 2)]);
  }
});

class Money {
  readonly amount = "4711 secret";
}

test.each([
  ["a function", () => 5],
  ["a Symbol", Symbol("secret")],
  ["non-POJOs", new Money()],
  ["non-POJOs", new Error("secret")],
  ["Promise", Promise.resolve("secret")],
])("the codec 'rich' refuses %s with its place and without its contents", (kind, value) => {
  const error = thrown(() => rich.encode({ list: [1, { value }] }));
  expect(error.message).toContain("at 'list[1].value'");
  expect(error.message).toContain(kind);
  expect(`${error.message} ${JSON.stringify(Object.entries(error))}`).not.toContain("secret");
  expect(error.cause).toBeUndefined();
});

test("the codec 'rich' refuses bytes that it did not write, and says nothing of them", () => {
  for (
    const text of [
      "oops",
      "[]",
      "5",
      '[["secret",1]]',
      '[["Object",0]]',
      "[[1],[0]",
      '[{"a":7}]',
      '{"a":1}',
    ]
  ) {
    expect(thrown(() => rich.decode(bytes(text))).message).toBe("the bytes are not of the codec 'rich'");
  }
  expect(thrown(() => rich.decode(bytes('[{"__proto__":1},{"evil":2},1]'))).message).toContain("'rich'");
});

test("a definition with the codec 'rich' hands dates, maps and bytes to its handler, and says so in the record", async () => {
  const schema = v.object({
    when: v.date(),
    sizes: v.map(v.string(), v.bigint()),
    file: v.instance(Uint8Array),
  });
  const relay = createRelay({ jobs: { remind: { schema, codec: rich } } });
  const payload = { when: new Date(7), sizes: new Map([["a", 5n]]), file: new Uint8Array([1, 2, 3]) };
  const seen: unknown[] = [];
  relay.handle("remind", (read, { job }) => void seen.push(read, job.codec));
  await relay.dispatch("remind", payload);
  expect(await rejection(relay.dispatch("remind", { ...payload, sizes: new Map([["a", Object(5n)]]) }))).not
    .toBeInstanceOf(UnencodableError);
  await relay.drain();
  expect(seen).toEqual([payload, "rich"]);
  await relay.close();
});
