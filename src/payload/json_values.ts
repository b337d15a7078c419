/**
 * Which values JSON holds: a quick look that says yes to plain ones, and a slow one for all others, which knows where
 * it is and says the fault.
 *
 * @module
 */

import { MAX_DEPTH } from "../defaults.ts";
import { isBytes, isDate, kindOf, tagOf } from "../kinds.ts";

/**
 * Whether JSON gives a value back as it is: plain objects and lists of texts, finite numbers, booleans and null. A no
 * is no refusal. `depth`: levels that it may have.
 */
export function isHeldAsIs(value: unknown, depth: number): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  // Faster than asking for each of NaN and the infinities.
  if (typeof value === "number") return value - value === 0;
  if (typeof value !== "object" || depth === 0) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if ((value as { readonly toJSON?: unknown }).toJSON !== undefined) return false;
  if (prototype === Object.prototype || prototype === null) {
    return isPlainObject(value as Record<string, unknown>, depth - 1);
  }
  return prototype === Array.prototype && isPlainList(value as readonly unknown[], depth - 1);
}

function isPlainList(list: readonly unknown[], depth: number): boolean {
  for (let index = 0; index < list.length; index++) {
    if (!isHeldAsIs(list[index], depth)) return false;
  }
  return true;
}

function isPlainObject(object: Readonly<Record<string, unknown>>, depth: number): boolean {
  // A loop over keys, as it makes no list of them: this is run for every job that is dispatched.
  for (const key in object) {
    const member = object[key];
    if (member !== undefined && !isHeldAsIs(member, depth)) return false;
  }
  return true;
}

/** An object that is being written, and its place. */
interface Level {
  readonly holder: unknown;
  readonly path: readonly string[];
}

/**
 * The JSON of a value that is not plain, where JSON holds it; `changed` is called for each value that was written as
 * its `toJSON` gave it.
 *
 * @throws {TypeError} with the place of the value that JSON would lose.
 */
export function writeChecked(value: unknown, changed: ((kind: string) => void) | undefined): string {
  // The objects around the value at hand, from the outside in.
  const levels: Level[] = [];
  const text: string | undefined = JSON.stringify(value, replace);
  if (text === undefined) throw new TypeError("JSON does not hold what 'toJSON' gave: undefined");
  return text;

  /** Called by `JSON.stringify` before each value is written, after its `toJSON`. */
  function replace(this: unknown, key: string, written: unknown): unknown {
    while (levels.length > 0 && levels.at(-1)?.holder !== this) levels.pop();
    const around = levels.at(-1);
    const path = around === undefined ? [] : [...around.path, key];
    const original: unknown = (this as Record<string, unknown>)[key];
    checkOriginal(original, path);
    if (!Object.is(original, written) && hasToJson(original)) changed?.(kindOf(original));
    // A property that is undefined is left out, and would leave a `null` behind in a list.
    if (written === undefined && !Array.isArray(this)) return undefined;
    if (written === null || typeof written !== "object") return checkPrimitive(written, path);
    checkObject(written, path);
    if (levels.length === MAX_DEPTH) refuse(`more than ${MAX_DEPTH} levels`, []);
    if (levels.some(({ holder }) => holder === written)) refuse("an object that is inside itself", path);
    levels.push({ holder: written, path });
    return written;
  }
}

function hasToJson(value: unknown): boolean {
  return value !== null && value !== undefined && typeof Object(value).toJSON === "function";
}

/** Refuses a value whose `toJSON` loses it: of an invalid Date that makes `null`, of a Buffer a list of numbers. */
function checkOriginal(value: unknown, path: readonly string[]): void {
  if (isDate(value) && Number.isNaN(Number(value))) refuse("an invalid Date", path);
  if (!isBytes(value)) return;
  const advice = path.length === 0 ? "give the job the codec 'raw'" : "the codec 'rich' does";
  refuse(`bytes (${kindOf(value)})`, path, `: ${advice}`);
}

function checkPrimitive(value: unknown, path: readonly string[]): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) refuse(String(value), path);
  if (value === undefined) refuse("undefined inside a list", path);
  if (typeof value === "function" || typeof value === "symbol" || typeof value === "bigint") {
    refuse(`a ${typeof value}`, path);
  }
  return value;
}

/** Objects of the language whose contents are no fields, whatever fields were added to them. */
const OPAQUE = ["Map", "Set", "Error", "RegExp", "Promise", "Date", "Number", "String", "Boolean", "BigInt"];

function checkObject(value: object, path: readonly string[]): void {
  const kind = kindOf(value);
  if (value instanceof Error || OPAQUE.includes(tagOf(value))) refuse(`a value of the kind ${kind}`, path);
  if (isBytes(value)) refuse(`bytes (${kind})`, path);
  if (!Array.isArray(value) && !isRecord(value) && Object.keys(value).length === 0) {
    refuse(`a value of the kind ${kind}, which has no fields of its own`, path);
  }
}

/** Whether an object is as a literal makes it, of this realm or another. */
function isRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function refuse(what: string, path: readonly string[], advice = ""): never {
  const place = path.length === 0 ? "" : ` at '${path.join(".")}'`;
  throw new TypeError(`JSON does not hold ${what}${place}${advice}`);
}
