/**
 * The command line `relevo`, for mounting in a program of your own: it looks at queues and jobs, brings dead ones back,
 * removes, dispatches and works.
 *
 * ```sh
 * npx relevo queues --url sqlite:jobs.db
 * ```
 *
 * @module
 */

import { InvalidPayloadError, messageOf, RelevoError } from "../errors.ts";
import { Refusal } from "../operate/refusal.ts";
import { checkObject, wrongType } from "../options.ts";
import { type Given, readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { doctorCommand } from "./doctor.ts";
import { overview, pageFor } from "./help.ts";
import { jobCommands } from "./jobs.ts";
import { queuesCommand } from "./queues.ts";
import { scheduleCommands } from "./schedules.ts";
import { createStore } from "./store.ts";
import { plain, type Terminal, UsageError } from "./terminal.ts";
import { validateCommand } from "./validate.ts";
import { VERSION } from "./version.ts";
import { moduleCommands } from "./work.ts";

export type { Input, Output, Terminal } from "./terminal.ts";

const commands: readonly Command[] = [
  queuesCommand,
  ...jobCommands,
  validateCommand,
  ...scheduleCommands,
  ...moduleCommands,
  doctorCommand,
];
/** Every command takes these. */
const EVERYWHERE = {
  help: { short: "h", about: "show this page" },
  stack: { about: "show where an error came from" },
};

/**
 * Runs a command and resolves with its exit code: 0 when it is done, also when there was nothing to do; 1 when the
 * store or a job failed; 2 when the command was wrong, and nothing was done. Touches nothing but its arguments, so that
 * it mounts under the command line of another program (seed 003).
 *
 * @throws {TypeError} without a list of arguments, and without `stdout` and `stderr`, to which nothing could be told.
 *
 * @example
 * ```ts
 * import { run } from "@relevo/relevo/cli";
 *
 * let out = "";
 * const stdout = { write: (text: string) => out += text };
 * console.log(await run(["queues", "--url", "memory:"], { stdout, stderr: stdout }), out); // 0 no queues
 * ```
 */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  checkSurroundings(argv, terminal);
  const { stdout, stderr } = terminal;
  const command = commandOf(argv);
  if (command === undefined) {
    const [first] = argv;
    if (first === undefined || first === "--help" || first === "-h" || first === "help") {
      stdout.write(overview(commands));
      return first === undefined ? 2 : 0;
    }
    if (first === "--version" || first === "-v") {
      stdout.write(`relevo ${VERSION}\n`);
      return 0;
    }
    const words = argv.filter((word) => !word.startsWith("-")).slice(0, 2);
    const given = plain(words.length === 0 ? first : words.join(" "));
    const near = commands.map(({ words: all }) => all).filter((all) => all.split(" ")[0] === words[0]);
    const known = near.length === 0 ? "" : `: there are ${near.join(", ")}`;
    stderr.write(`relevo: there is no command '${given}'${known}\nSee: relevo --help\n`);
    return 2;
  }
  const rest = argv.slice(command.words.split(" ").length);
  if (rest.includes("--help") || rest.includes("-h")) {
    stdout.write(pageFor({ ...command, flags: { ...command.flags, ...EVERYWHERE } }));
    return 0;
  }
  try {
    return await runCommand(command, rest, terminal) ?? 0;
  } catch (error) {
    return fail(error, command, rest.includes("--stack"), terminal);
  }
}

function checkSurroundings(argv: readonly string[], terminal: Terminal): void {
  const action = "run a command";
  if (!Array.isArray(argv)) throw wrongType(action, "its arguments", "a list of texts", argv);
  checkObject(action, "its terminal", terminal);
  for (const name of ["stdout", "stderr"] as const) {
    const { write }: { readonly write?: unknown } = Object(terminal[name]);
    if (typeof write !== "function") {
      throw wrongType(action, `'${name}'`, "an object with a function 'write'", terminal[name]);
    }
  }
}

function commandOf(argv: readonly string[]): Command | undefined {
  return commands.find(({ words }) => words.split(" ").every((word, index) => argv[index] === word));
}

async function runCommand(
  command: Command,
  rest: readonly string[],
  terminal: Terminal,
): Promise<number | void> {
  const given: Given = readArguments(rest, { ...command.flags, ...EVERYWHERE }, command.positionals);
  const store = createStore(terminal, given);
  try {
    return await command.run({ terminal, given, json: given.has("json"), open: store.open });
  } finally {
    await store.close();
  }
}

/** Tells the fault in one line, and whose it is. */
function fail(error: unknown, command: Command, withStack: boolean, { stderr, signal }: Terminal): number {
  if (signal?.aborted) {
    stderr.write(`relevo: interrupted\n`);
    return 1;
  }
  stderr.write(`relevo: ${plain(messageOf(error))}\n`);
  if (error instanceof InvalidPayloadError) {
    for (const { path, message } of error.issues) {
      stderr.write(`  ${plain(path.join(".") || "payload")}: ${plain(message)}\n`);
    }
  }
  if (withStack && error instanceof Error) stderr.write(`${error.stack ?? ""}\n`);
  if (!isCallersFault(error)) return 1;
  if (error instanceof UsageError) stderr.write(`See: relevo ${command.words} --help\n`);
  return 2;
}

/** Wrong input is told by these; everything else is the store's, or a job's. */
function isCallersFault(error: unknown): boolean {
  if (error instanceof UsageError || error instanceof Refusal) return true;
  if (error instanceof TypeError || error instanceof RangeError) return true;
  const codes: readonly string[] = [
    "UNKNOWN_QUEUE",
    "UNKNOWN_SCHEDULE",
    "UNKNOWN_JOB",
    "INVALID_PAYLOAD",
    "UNENCODABLE",
    "TOO_LARGE",
    "ATOMIC_LIMIT",
  ];
  return error instanceof RelevoError && codes.includes(error.code);
}
