/** Commands as a program would run them, and what they print. */
import { type Input, run } from "../../../src/cli/mod.ts";

export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order of their writing. */
  readonly all: string;
}

export interface Setting {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Input;
  readonly isTTY?: boolean;
  readonly signal?: AbortSignal;
  /** Told each text as it is written. */
  readonly wrote?: (text: string) => void;
}

/** Runs one command. */
export async function relevo(argv: readonly string[], setting: Setting = {}): Promise<Printed> {
  const { env = {}, isTTY = false, wrote = () => undefined } = setting;
  const printed = { stdout: "", stderr: "", all: "" };
  const output = (name: "stdout" | "stderr") => ({
    isTTY,
    write(text: string): void {
      printed[name] += text;
      printed.all += text;
      wrote(text);
    },
  });
  const code = await run(argv, {
    stdout: output("stdout"),
    stderr: output("stderr"),
    stdin: setting.stdin,
    env,
    signal: setting.signal,
  });
  return { code, ...printed };
}

/** A terminal at which one line is typed. */
export function typing(line: string): Input {
  return {
    isTTY: true,
    async *[Symbol.asyncIterator]() {
      yield await Promise.resolve(`${line}\n`);
    },
  };
}

/** Words of a command line; quotes keep spaces. */
export function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
}
