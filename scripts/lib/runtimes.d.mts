export type RuntimeName = "node22" | "node24" | "node26" | "deno" | "bun" | "workerd";

export const table: Readonly<Record<RuntimeName, { readonly title: string; readonly binary: string }>>;
export interface LeastRuntime {
  readonly runtime: string;
  readonly version: string;
  readonly binary: string;
  readonly before: readonly string[];
  /** Whether a complete run alone looks at it. */
  readonly later: boolean;
}
export const least: readonly LeastRuntime[];
export function binaryOf(name: RuntimeName): string | undefined;
export function toolNode(): string;
