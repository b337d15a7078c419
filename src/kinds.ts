/**
 * Kinds of values, told across realms.
 *
 * @module
 */

import { MAX_DEPTH } from "./defaults.ts";

/** The kind of a value as the language names it: `Map`, `Date`, `Uint8Array`; `Object` for instances of classes. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** The name of a value's kind, for messages: of an instance its class's. */
export function kindOf(value: unknown): string {
  const tag = tagOf(value);
  if (tag !== "Object" && tag !== "Error") return tag;
  const { constructor }: { constructor?: unknown } = Object(value);
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : tag;
}

/** Whether a value is a `Proxy` that was revoked: even the question whether it is a list throws. */
export function isRevoked(value: unknown): boolean {
  try {
    // Bundlers leave out a call that they know to have no effect, unless its answer is of use.
    return typeof Array.isArray(value) !== "boolean";
  } catch {
    return true;
  }
}

/** The path to a revoked `Proxy` in a value; undefined where there is none to be found. */
export function revokedIn(value: unknown): readonly string[] | undefined {
  const seen = new Set<object>();
  const find = (one: unknown, path: readonly string[]): readonly string[] | undefined => {
    if (typeof one !== "object" || one === null || seen.has(one)) return undefined;
    if (isRevoked(one)) return path;
    if (path.length === MAX_DEPTH) return undefined;
    seen.add(one);
    for (const key of Object.keys(one)) {
      const found = find(Reflect.get(one, key), [...path, key]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  try {
    return find(value, []);
  } catch {
    // A getter or another proxy has a fault of its own, which is told.
    return undefined;
  }
}

/**
 * Whether the fields of an object are all that it holds: a Map, a Promise, a Date or the like keeps its contents
 * elsewhere, and would be read as empty.
 */
export function hasFields(value: object): boolean {
  const tag = tagOf(value);
  return tag === "Object" || tag === "Module" || Object.keys(value).length > 0;
}

/** Whether a value is an object with fields of any kind, and no list. */
export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two arrays of bytes are the same. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** Whether a value is a `Uint8Array`, of whatever realm. */
export function isByteArray(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || (typeof value === "object" && tagOf(value) === "Uint8Array");
}

/** Bytes as the clients of stores know them: those of another realm in a copy. */
export function ofThisRealm(bytes: Uint8Array): Uint8Array {
  return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
}

/** Whether a value is a `Date`, of whatever realm. */
export function isDate(value: unknown): value is Date {
  return value instanceof Date || (typeof value === "object" && tagOf(value) === "Date");
}

/** Whether a value is bytes, or a view of bytes. */
export function isBytes(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return ArrayBuffer.isView(value) || ["ArrayBuffer", "SharedArrayBuffer"].includes(tagOf(value));
}
