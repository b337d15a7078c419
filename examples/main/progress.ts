/** How far it is: one line that is rewritten on a terminal, a plain line now and then elsewhere. */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Files, QUEUE } from "./jobs.ts";
import { number } from "./text.ts";

/** How often to look, in milliseconds. */
const TICK = 50;
/** Elsewhere than on a terminal: a line for each so many percent, or after so many milliseconds anyway. */
const STEP = 5;
const LONGEST = 5_000;
/** And where no percent is known, one after so many milliseconds. */
const OFTEN = 500;

/** Where progress is shown. */
export interface Screen {
  /** Shows how far it is; `part` in percent, where known. */
  show(text: string, part?: number): void;
  /** Ends the line that was rewritten. */
  end(): void;
}

/** What a screen is made on: the standard output, or what a test puts in its place. */
export type Output = Pick<typeof process.stdout, "isTTY" | "columns" | "write">;

export function createScreen(stdout: Output = process.stdout): Screen {
  let shown = "";
  let nextPart = 0;
  let last = -Infinity;
  if (stdout.isTTY) {
    return {
      show(text) {
        // A line as wide as the terminal would wrap, and could not be rewritten.
        shown = text.slice(0, Math.max(1, (stdout.columns || 80) - 1));
        stdout.write(`\r${shown}\x1b[K`);
      },
      end() {
        if (shown !== "") stdout.write("\n");
        shown = "";
      },
    };
  }
  return {
    show(text, part) {
      const now = performance.now();
      const patience = part === undefined ? OFTEN : part < nextPart ? LONGEST : 0;
      if (now - last < patience) return;
      last = now;
      if (part !== undefined) nextPart = (Math.floor(part / STEP) + 1) * STEP;
      stdout.write(`${text}\n`);
    },
    end() {},
  };
}

/**
 * Shows how many jobs are over until all are, or the signal aborts; `before`: results of starts before this one.
 * Returns how many jobs ended since, and in how long.
 */
export async function follow(
  files: Files,
  before: number,
  screen: Screen,
  signal: AbortSignal,
): Promise<{ readonly jobs: number; readonly seconds: number }> {
  const begun = performance.now();
  const first = await census(files);
  const all = before + first.left + first.dead;
  for (;;) {
    const { left, dead } = await census(files);
    const jobs = first.left - left;
    const seconds = (performance.now() - begun) / 1_000;
    const part = all === 0 ? 100 : Math.floor((all - left) / all * 100);
    const rate = number(Math.round(jobs / Math.max(seconds, 0.001)));
    const deaths = dead > 0 ? `, ${number(dead)} dead` : "";
    screen.show(
      `handled ${number(all - left)} of ${number(all)} (${part} %), ${rate} per second${deaths}`,
      part,
    );
    if (left === 0 || signal.aborted) return { jobs, seconds };
    await sleep(TICK, undefined, { signal }).catch(() => undefined);
  }
}

/** How many jobs are alive, and how many dead, whichever process handled them. */
async function census(files: Files): Promise<{ readonly left: number; readonly dead: number }> {
  const { waiting, delayed, reserved, failed, timeout } = await files.info(QUEUE);
  return { left: waiting + delayed + reserved, dead: failed + timeout };
}
