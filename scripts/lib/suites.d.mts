export interface Suite {
  readonly name: string;
  readonly runtime?: string;
  readonly folders: readonly string[];
  /** Nothing in it goes by the real clock: it runs beside a suite that mostly waits. */
  readonly beside?: boolean;
  /** Runs with `--all` only. */
  readonly all?: boolean;
  /** The transport whose storms these are: they run with `--all`, and when a file of it changed. */
  readonly storms?: string;
}

export const suites: readonly Suite[];
