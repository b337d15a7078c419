export interface Suite {
  readonly name: string;
  readonly runtime?: string;
  readonly folders: readonly string[];
  /** Runs with `--all` only. */
  readonly all?: boolean;
  /** The transport whose storms these are: they run with `--all`, and when a file of it changed. */
  readonly storms?: string;
}

export const suites: readonly Suite[];
