export type RuntimeName = "node22" | "node24" | "node26" | "deno" | "bun" | "workerd";

export function binaryOf(name: RuntimeName): string | undefined;
export function toolNode(): string;
