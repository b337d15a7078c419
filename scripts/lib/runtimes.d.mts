export type RuntimeName = "node22" | "node24" | "node26" | "deno" | "bun" | "workerd";

export const table: Readonly<Record<RuntimeName, { readonly title: string; readonly binary: string }>>;
export function binaryOf(name: RuntimeName): string | undefined;
export function toolNode(): string;
