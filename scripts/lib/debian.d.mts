export function unpack(folder: string, suites: readonly string[], packages: readonly string[]): void;
export function loaderOf(folder: string): {
  readonly command: string;
  readonly args: readonly string[];
  readonly libraries: readonly string[];
};
export function archive(settings?: string): string;
