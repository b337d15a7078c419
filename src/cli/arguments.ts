/**
 * Arguments of a command: read by `node:util`, checked and told in our words.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { UsageError } from "./terminal.ts";

/** An option of a command. */
export interface Flag {
  /** One letter. */
  readonly short?: string;
  /** The stand-in for its value in help pages; absent for one that is there or not. */
  readonly value?: string;
  /** May be given several times. */
  readonly many?: boolean;
  /** Its effect, and its default. */
  readonly about: string;
}

/** The options of a command, by their names. */
export type Flags = Readonly<Record<string, Flag>>;

/** The arguments that were given. */
export interface Given {
  readonly positionals: readonly string[];
  /** The text of an option; undefined where it was not given. */
  text(name: string): string | undefined;
  /** Every text of an option. */
  texts(name: string): readonly string[];
  /** Whether an option without a value is there. */
  has(name: string): boolean;
  /** A whole number; undefined where it was not given. */
  number(name: string): number | undefined;
}

/**
 * Reads a command's arguments.
 *
 * @throws {UsageError} for an unknown option, a value that lacks or is too much, and positionals that lack or are too
 * many.
 */
export function readArguments(
  argv: readonly string[],
  flags: Flags,
  positionals: readonly string[],
): Given {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { short, value, many = false }]) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      multiple: many,
      ...(short === undefined ? {} : { short }),
    }]),
  );
  const { values, positionals: found } = parsed(argv, options, positionals.includes("module"));
  const wrong = found[positionals.length];
  if (wrong !== undefined) throw new UsageError(`there is one argument too many: ${JSON.stringify(wrong)}`);
  const missing = positionals[found.length];
  if (missing !== undefined) throw new UsageError(`<${missing}> is missing`);
  const texts = (name: string): readonly string[] => {
    const value = values[name];
    return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");
  };
  return {
    positionals: found,
    texts,
    text: (name) => texts(name).at(-1),
    has: (name) => values[name] === true,
    number(name) {
      const text = texts(name).at(-1);
      if (text === undefined) return undefined;
      if (!/^\d+$/.test(text)) {
        throw new UsageError(`--${name} must be a whole number: current value is ${JSON.stringify(text)}`);
      }
      return Number(text);
    },
  };
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function parsed(
  argv: readonly string[],
  options: Record<string, { type: "string" | "boolean"; multiple: boolean; short?: string }>,
  hasModule: boolean,
): { readonly values: Values; readonly positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  } catch (error) {
    // The parser's own words name the option; its further advice is for other programs.
    const [first = "the arguments are wrong"] = (error instanceof Error ? error.message : String(error))
      .split(/\.\s/);
    const isStore = hasModule && /'--(?:url|config)'/.test(first);
    const more = isStore ? ": the relay of the module says which store it has" : "";
    throw new UsageError(`${first.charAt(0).toLowerCase()}${first.slice(1)}${more}`);
  }
}
