export interface FeatureRow {
  readonly row: string;
  readonly what: string;
  /** How it is written here; undefined where it waits. */
  readonly how: string | undefined;
  /** `better: ` and an example, or `waits: ` and for what. */
  readonly note: string | undefined;
}
export interface FeatureResults {
  readonly date: string;
  /** Whether every suite ran. */
  readonly complete: boolean;
  readonly suites: readonly string[];
  /** By the test's name: `memory: node22 node24, SQLite: server-node24`. */
  readonly tests: Readonly<Record<string, string>>;
}

export const NUMBERS: string;
export function rowsIn(text: string): readonly string[];
export function readRows(): readonly FeatureRow[];
export function readResults(): FeatureResults;
export function pageOf(rows: readonly FeatureRow[], results: FeatureResults): string;
export function passedIn(report: {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}): Map<string, Set<string>>;
