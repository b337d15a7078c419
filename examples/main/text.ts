/** Texts for people: names that cannot break a terminal, numbers, sizes, and a line that fits. */

/** Control characters, bidirectional overrides and line separators, which a file's name may hold. */
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\\]/g;

/** The most of a name that is printed. */
const LONGEST = 200;

/** A name as it may be printed: what would move the cursor or break the line is escaped, what is long is cut. */
export function printable(name: string): string {
  const half = LONGEST / 2;
  const short = name.length > LONGEST ? `${name.slice(0, half)} ... ${name.slice(-half)}` : name;
  return short.toWellFormed().replace(UNSAFE, (character) => {
    if (character === "\\") return "\\\\";
    if (character === "\n") return "\\n";
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
}

/** A number with its thousands apart. */
export function number(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

/** Bytes in full, and for people. */
export function bytes(value: number): string {
  if (value < 1024) return number(value);
  const unit = Math.min(4, Math.floor(Math.log2(value) / 10));
  return `${number(value)} (${number(value / 1024 ** unit)} ${["", "KiB", "MiB", "GiB", "TiB"][unit]})`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}
