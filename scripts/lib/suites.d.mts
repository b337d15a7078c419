export interface Suite {
  readonly name: string;
  readonly folders: readonly string[];
}

export const suites: readonly Suite[];
