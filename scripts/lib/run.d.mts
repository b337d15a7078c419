export interface RunOptions {
  readonly timeout?: number;
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly output: string;
  readonly ms: number;
}

export function run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
