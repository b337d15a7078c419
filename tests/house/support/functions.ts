/** The functions of a source file with their lengths, as the parser of vite sees them. */
import { readFileSync } from "node:fs";
import { parseSync } from "vite";
import { inRepository } from "../../../scripts/lib/paths.mjs";

/** A function of a file, inner ones counted within. */
export interface Sized {
  /** The file and the function's name, the outer function's before it: `src/x.ts outer.inner`. */
  readonly name: string;
  readonly lines: number;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

/** Every function, constructor and method of a file that has more lines than these. */
export function functionsOver(file: string, lines: number): readonly Sized[] {
  const text = readFileSync(inRepository(file), "utf8");
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`Cannot read ${file}: ${errors[0]?.message}`);
  const found: Sized[] = [];
  const visit = (value: unknown, path: readonly string[], given: string): void => {
    if (Array.isArray(value)) return value.forEach((one) => visit(one, path, given));
    if (!isNode(value)) return;
    const name = nameOf(value) ?? given;
    const inside = FUNCTIONS.has(value.type) ? [...path, name] : path;
    if (inside !== path) {
      const size = text.slice(value.start, value.end).split("\n").length;
      if (size > lines) found.push({ name: `${file} ${inside.join(".")}`, lines: size });
    }
    for (const part of Object.values(value)) visit(part, inside, name);
  };
  visit(program.body, [], "");
  return found;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value;
}

/** What a declaration, a variable, a property or a method calls its value. */
function nameOf(node: Node): string | undefined {
  for (const part of [Reflect.get(node, "id"), Reflect.get(node, "key")]) {
    const name: unknown = isNode(part) ? Reflect.get(part, "name") : undefined;
    if (typeof name === "string") return name;
  }
  return undefined;
}
