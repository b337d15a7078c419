/**
 * The reasons why a payload does not fit its schema, and how a message tells them.
 *
 * @module
 */

/** One reason why a payload does not fit its schema. */
export interface Issue {
  /** The words of the schema's library; for people. */
  readonly message: string;
  /** Where in the payload: keys and indexes from the outside in; empty for the payload itself. */
  readonly path: readonly (string | number)[];
  /** The type that the schema wants there, where its library says so apart from the value (valibot, zod, arktype). */
  readonly expected?: string;
}

/** Places of a payload that a message tells at most, and letters of one of them. */
const MAX_PLACES = 10;
const MAX_TEXT = 100;

/**
 * Where the issues are and which type was expected there, and no more: the words of schemas often repeat the value, and
 * messages go into logs.
 */
export function placesOf(issues: readonly Issue[]): string {
  const places = [...new Set(issues.map(placeOf))];
  const more = places.length > MAX_PLACES ? ` and ${places.length - MAX_PLACES} more places` : "";
  return `${places.slice(0, MAX_PLACES).join(", ")}${more}`;
}

function placeOf({ path, expected }: Issue): string {
  const place = path.length > 0 ? `'${path.join(".").slice(0, MAX_TEXT)}'` : "its root";
  return expected === undefined ? place : `${place} (expected ${expected.slice(0, MAX_TEXT)})`;
}
