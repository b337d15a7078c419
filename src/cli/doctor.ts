/**
 * `relevo doctor`: settings and states that lose jobs, refuses them or keeps them waiting.
 *
 * @module
 */

import type { Severity } from "../contract/diagnosis.ts";
import type { DoctorOutput } from "../operate/doctor.ts";
import { operationOf } from "../operate/table.ts";
import { type Command, STORE } from "./command.ts";
import { printJson } from "./print.ts";
import { plain } from "./terminal.ts";

const WORDS: Readonly<Record<Severity, string>> = {
  danger: "DANGER",
  warning: "warning",
  ok: "ok",
  unseen: "?",
};
const FIRST = 9;
const SECOND = 13;

/** The command. */
export const doctorCommand: Command = {
  words: "doctor",
  positionals: [],
  flags: STORE,
  about: operationOf("store.diagnose").about,
  examples: ["relevo doctor --url redis://127.0.0.1:6379", "relevo doctor --json"],
  async run({ terminal: { stdout, signal }, json, open }) {
    const found = await operationOf("store.diagnose").run(await open(), {}, { signal }) as DoctorOutput;
    const { findings, dead } = found;
    if (json) printJson(stdout, [...findings, ...dead]);
    else {
      for (const { check, severity, says, advice } of findings) {
        stdout.write(`${WORDS[severity].padEnd(FIRST)}${check.padEnd(SECOND)} ${plain(says)}\n`);
        if (advice !== undefined) stdout.write(`${" ".repeat(FIRST + SECOND)}   ${plain(advice)}\n`);
      }
    }
    return findings.some(({ severity }) => severity === "danger") ? 1 : 0;
  },
};
