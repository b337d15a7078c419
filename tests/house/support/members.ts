/**
 * What a source file says of its own types: the members of an interface and of a union of texts, each with its comment.
 * The files are formatted, so that plain text is enough to find them.
 */
import { readFileSync } from "node:fs";
import { inRepository } from "../../../scripts/lib/paths.mjs";

/** A member of a type. */
export interface Member {
  readonly name: string;
  readonly type: string;
  /** Its comment as one line of text. */
  readonly comment: string;
}

/** The members of an exported interface that it declares itself, in their order. */
export function membersOf(file: string, name: string): readonly Member[] {
  const body = bodyOf(file, new RegExp(`^export interface ${name}\\b[^{]*\\{`, "m"), "\n}\n");
  const declared =
    /((?:^ {2}\/\*\*[^]*?\*\/\n)?)^ {2}(?:readonly )?(\w+)\??(?:: |(?=[<(]))([^]*?);$(?=\n {2}[/\w]|\n*$(?![^]))/gm;
  return [...body.matchAll(declared)].map(([, comment = "", member = "", type = ""]) => ({
    name: member,
    type: type.replace(/\s*\/\*\*[^]*?\*\/\s*/g, " ").replace(/\s+/g, " ").replace(
      /^\((.*)\) \| undefined$/,
      "$1",
    ).replace(/ \| undefined$/, ""),
    comment: textOf(comment),
  }));
}

/** The texts of an exported union, in their order. */
export function textsOf(file: string, name: string): readonly Omit<Member, "type">[] {
  const body = bodyOf(file, new RegExp(`^export type ${name} =$`, "m"), ";\n\n");
  const listed = /((?:^ {2}\/\*\*[^]*?\*\/\n)?)^ {2}\| "([^"]+)"/gm;
  return [...body.matchAll(listed)].map(([, comment = "", text = ""]) => ({
    name: text,
    comment: textOf(comment),
  }));
}

function bodyOf(file: string, start: RegExp, end: string): string {
  const source = readFileSync(inRepository(file), "utf8");
  const found = start.exec(source);
  if (found === null) throw new Error(`${file} must have ${start.source}`);
  const from = found.index + found[0].length;
  return source.slice(from, source.indexOf(end, from));
}

/** A comment without its frame, links as code, and nothing that a table cannot hold. */
function textOf(comment: string): string {
  return comment.replace(/^ *\/\*\*|\*\/$/gm, "").replace(/^ *\*/gm, "").replace(/\s+/g, " ").trim()
    .replace(/\{@linkcode (\S+?)\}/g, "`$1`");
}
