/**
 * Keys that stand twice in one object of a JSON text: a parser keeps the last one and says nothing of the others.
 *
 * @module
 */

/** One object or array that is open where the text is read. */
interface Level {
  /** The keys so far; undefined in an array. */
  readonly keys: Set<string> | undefined;
  /** The key whose value is read. */
  key: string;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** The paths of such keys, in the order of the text, which must be JSON. */
export function doubledKeys(text: string): readonly string[] {
  const found: string[] = [];
  const levels: Level[] = [];
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    const level = levels.at(-1);
    if (token === "{") levels.push({ keys: new Set(), key: "" });
    else if (token === "[") levels.push({ keys: undefined, key: "" });
    else if (token === "}" || token === "]") levels.pop();
    else if (token === ":" && level?.keys !== undefined) {
      level.key = String(JSON.parse(last));
      if (level.keys.has(level.key)) {
        found.push(levels.map(({ key }) => key).filter((key) => key !== "").join("."));
      }
      level.keys.add(level.key);
    }
    last = token;
  }
  return found;
}
