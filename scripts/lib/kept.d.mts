/** What a suite showed: its counts, the names that name rows, and the milliseconds that it took. */
export interface Shown {
  readonly counts: { readonly passed: number; readonly failed: number; readonly skipped: number };
  readonly shown: Iterable<readonly [name: string, transports: Iterable<string>]>;
  readonly ms: number;
}

export interface Kept {
  readonly tree: string | undefined;
  of(name: string): (Shown & { readonly at: string }) | undefined;
  keep(name: string, suite: Shown): void;
  ms(): number;
}

export function openKept(root: string, resume: boolean): Kept;
