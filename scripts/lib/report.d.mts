export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly output: string;
}

export function countsOf(
  json: string,
  ending: Ending,
  crash?: RegExp,
): Counts & { readonly why: string | undefined };
export function line(counts: Counts): string;
