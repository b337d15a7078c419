export interface Suite {
  readonly name: string;
  readonly runtime?: string;
  readonly folders: readonly string[];
}

export const suites: readonly Suite[];
