/**
 * The input of an operation from a URL's query: every value there is a text.
 *
 * @module
 */

const NUMBERS: readonly string[] = ["limit", "count"];
const FLAGS: readonly string[] = ["payload"];
const LISTS: readonly string[] = ["channels", "ids"];

/** The query as an object; a value that is no number or flag stays a text, for the operation to refuse. */
export function inputOfQuery(query: URLSearchParams): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    [...new Set(query.keys())].map((name) => [name, valueOf(name, query.getAll(name))]),
  );
}

function valueOf(name: string, texts: readonly string[]): unknown {
  if (LISTS.includes(name)) return texts.flatMap((text) => text.split(","));
  const text = texts.at(-1) ?? "";
  if (NUMBERS.includes(name) && /^\d+$/.test(text)) return Number(text);
  if (FLAGS.includes(name) && (text === "true" || text === "false")) return text === "true";
  return text;
}
