import { describe, expect, it, test } from "vitest";
import { json } from "../../../mod.ts";
import { thrown } from "../support/kit.ts";

const textOf = (value: unknown, changed?: (kind: string) => void): string =>
  new TextDecoder().decode(json.encode(value, changed));

/** A list around a list, and so on. */
function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

/** An object that is inside itself. */
function cycle(): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  object["self"] = object;
  return object;
}

class Point {
  readonly x: number;
  #secret = 5;

  constructor(x: number) {
    this.x = x;
  }

  get secret(): number {
    return this.#secret;
  }
}

class Hidden {
  #value = 5;

  get value(): number {
    return this.#value;
  }
}

class Money {
  #cents = 995;

  toJSON(): { readonly cents: number } {
    return { cents: this.#cents };
  }
}

const REFUSED: readonly (readonly [kind: string, value: unknown])[] = [
  ["a function", () => 5],
  ["a symbol", Symbol("s")],
  ["a bigint", 5n],
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
  ["kind Map", new Map([["a", 1]])],
  ["kind Set", new Set([1])],
  ["kind WeakMap", new WeakMap()],
  ["kind Error", new Error("e")],
  ["kind TypeError", Object.assign(new TypeError("e"), { code: 5 })],
  ["kind RegExp", /x/],
  ["kind Promise", Promise.resolve(1)],
  ["bytes (Uint8Array)", new Uint8Array(3)],
  ["bytes (Float64Array)", new Float64Array(3)],
  ["bytes (ArrayBuffer)", new ArrayBuffer(3)],
  ["bytes (DataView)", new DataView(new ArrayBuffer(3))],
  ["an invalid Date", new Date(NaN)],
  ["kind Number", Object(5)],
  ["kind String", Object("text")],
  ["kind Array Iterator", [1].values()],
  ["kind Hidden", new Hidden()],
  ["kind Map", Object.assign(new Map(), { size_: 1 })],
  ["inside itself", cycle()],
];

describe("the JSON codec", () => {
  test.each(REFUSED)("refuses %s, with its place at any depth", (kind, value) => {
    expect(thrown(() => json.encode(value)).message).toContain(kind);
    expect(thrown(() => json.encode({ list: [0, { deep: value }] })).message).toMatch(/'list\.1\.deep/);
    expect(thrown(() => json.encode([value])).message).toMatch(/'0/);
    expect(thrown(() => json.encode({ toJSON: () => ({ inner: [value] }) })).message).toMatch(/'inner\.0/);
  });

  it("refuses undefined and holes inside lists, and leaves properties that are undefined out", () => {
    expect(thrown(() => json.encode({ a: [1, undefined] })).message).toContain("'a.1'");
    // deno-lint-ignore no-sparse-arrays
    expect(thrown(() => json.encode([1, , 2])).message).toContain("'1'");
    expect(thrown(() => json.encode(new Array(1_000_000))).message).toContain("'0'");
    expect(textOf({ a: undefined, b: { c: undefined }, d: 1 })).toBe('{"b":{},"d":1}');
  });

  it("writes instances with fields, and objects of any prototype that holds none", () => {
    expect(textOf({ at: [new Point(1)] })).toBe('{"at":[{"x":1}]}');
    expect(textOf(Object.assign(Object.create(null), { a: 1 }))).toBe('{"a":1}');
    expect(textOf([Object.create(Object.create(null)), {}, new (class extends Array<number> {})(2).fill(0)]))
      .toBe(
        "[{},{},[0,0]]",
      );
    const shared = { a: 1 };
    expect(textOf([shared, new Point(2), shared])).toBe('[{"a":1},{"x":2},{"a":1}]');
  });

  it("writes what toJSON gives, once, and says of which kind the value was", () => {
    const kinds: string[] = [];
    let calls = 0;
    const counting = { toJSON: (key: string) => `${key}${++calls}` };
    const value = {
      when: new Date(0),
      price: new Money(),
      counting,
      url: new URL("https://a.example/"),
      toJSON: "a field",
    };
    expect(textOf(value, (kind) => kinds.push(kind))).toBe(
      '{"when":"1970-01-01T00:00:00.000Z","price":{"cents":995},"counting":"counting1","url":"https://a.example/","toJSON":"a field"}',
    );
    expect(kinds).toEqual(["Date", "Money", "Object", "URL"]);
    expect(thrown(() => json.encode({ toJSON: () => undefined })).message).toContain("toJSON");
  });

  it("writes up to 1,000 levels, plain or not, and refuses one more", () => {
    for (const value of [1, new Point(1)]) {
      const levels = typeof value === "number" ? 1_000 : 999;
      const fits = JSON.parse(JSON.stringify(nested(levels)), (_, read) => read === 1 ? value : read);
      expect(textOf(fits)).toBe(JSON.stringify(fits));
      expect(thrown(() => json.encode([fits])).message).toBe("JSON does not hold more than 1000 levels");
    }
    expect(thrown(() => json.encode(nested(20_000))).message).toContain("levels");
  });
});
