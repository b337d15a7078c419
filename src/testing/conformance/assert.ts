/**
 * The claims of the suite: a few checks that need no library and say the value wanted and the value found.
 *
 * @module
 */

/** A claim that does not hold. */
export class ClaimError extends Error {
  override readonly name: string = "ClaimError";
}

/** Claims that something is so. */
export function ok(condition: boolean, claim: string): asserts condition {
  if (!condition) throw new ClaimError(`Wanted: ${claim}`);
}

/** Claims that two values are the same in structure; bytes, dates, maps and sets are compared by their contents. */
export function equal(actual: unknown, wanted: unknown, what: string): void {
  const path = difference(actual, wanted, "");
  if (path === undefined) return;
  throw new ClaimError(
    `${what}${path === "" ? "" : ` (at ${path})`}: wanted ${show(wanted)}, found ${show(actual)}`,
  );
}

/** Claims that a number is between two others, both included. */
export function between(actual: number, low: number, high: number, what: string): void {
  if (actual >= low && actual <= high) return;
  throw new ClaimError(`${what}: wanted ${low} to ${high}, found ${actual}`);
}

/** Claims that a promise rejects, and returns its reason. */
export async function rejects(promise: Promise<unknown>, what: string): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (reason) {
    return reason;
  }
  throw new ClaimError(`${what}: wanted a rejection, found ${show(value)}`);
}

/** The only element of a list that must have one. */
export function only<T>(list: readonly T[], what: string): T {
  const first = list[0];
  if (list.length === 1 && first !== undefined) return first;
  throw new ClaimError(`${what}: wanted exactly 1, found ${list.length}`);
}

/** The element at an index that must be there. */
export function at<T>(list: readonly T[], index: number, what: string): T {
  const item = list[index];
  if (item !== undefined) return item;
  throw new ClaimError(`${what}: wanted one at index ${index}, found ${list.length} in all`);
}

/** Whether two values differ in structure, as {@linkcode equal} compares them. */
export function differ(a: unknown, b: unknown): boolean {
  return difference(a, b, "") !== undefined;
}

/** Where two values differ; `undefined` when they do not. */
function difference(a: unknown, b: unknown, path: string): string | undefined {
  if (Object.is(a, b)) return undefined;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return path;
  if (a instanceof Uint8Array || b instanceof Uint8Array) return sameBytes(a, b) ? undefined : path;
  if (Array.isArray(a) !== Array.isArray(b) || kindOf(a) !== kindOf(b)) return path;
  if (a instanceof Date || b instanceof Date) return Object.is(Number(a), Number(b)) ? undefined : path;
  if (a instanceof Map || a instanceof Set) return difference([...a], contentsOf(b), path);
  const left = new Map(Object.entries(a));
  const right = new Map(Object.entries(b));
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const found = difference(left.get(key), right.get(key), path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function kindOf(value: object): string {
  return value instanceof Map ? "map" : value instanceof Set ? "set" : value instanceof Date ? "date" : "";
}

function contentsOf(value: object): readonly unknown[] {
  return value instanceof Map || value instanceof Set ? [...value] : [];
}

function sameBytes(a: object, b: object): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array) || a.length !== b.length) return false;
  return a.every((byte, index) => byte === b[index]);
}

const LONGEST = 300;

/** A value as text, cut where it is long. */
export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes [${value.slice(0, 16).join(" ")}]`;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  const text = JSON.stringify(value, (_, part) => {
    if (part instanceof Map || part instanceof Set) return [...part];
    return part instanceof Uint8Array
      ? `<${part.length} bytes>`
      : typeof part === "bigint"
      ? `${part}n`
      : part;
  }) ?? String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
}
