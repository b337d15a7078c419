/**
 * Help pages, made of the commands themselves.
 *
 * @module
 */

import type { Command } from "./command.ts";

const WIDTH = 26;

/** The page that lists every command. */
export function overview(commands: readonly Command[]): string {
  const lines = commands.map((command) => `  ${usageOf(command).padEnd(38)} ${command.about}`);
  return [
    "relevo: looks after jobs in their store.",
    "",
    "Usage: relevo <command> [options]",
    "",
    ...lines,
    "",
    "The store is named by --url, as for `connect`: sqlite:jobs.db, redis://127.0.0.1:6379, nats://127.0.0.1:4222;",
    "else by --config, a file of @relevo/relevo/config, else by $RELEVO_URL.",
    "`relevo <command> --help` shows a command's options, `relevo --version` the version. Exit code 0: done, also when there was nothing to do;",
    "1: the store or a job failed; 2: the command was wrong, and nothing was done.",
    "",
  ].join("\n");
}

/** The page of one command. */
export function pageFor(command: Command): string {
  const flags = Object.entries(command.flags).map(([name, { short, value, about }]) => {
    const names = `${short === undefined ? "    " : `-${short}, `}--${name}${
      value === undefined ? "" : ` ${value}`
    }`;
    return `  ${names.padEnd(WIDTH)} ${about}`;
  });
  return [
    command.about,
    "",
    `Usage: relevo ${usageOf(command)} [options]`,
    "",
    ...flags,
    "",
    "Examples:",
    ...command.examples.map((example) => `  ${example}`),
    "",
  ].join("\n");
}

function usageOf({ words, positionals }: Command): string {
  return [words, ...positionals.map((name) => `<${name}>`)].join(" ");
}
