export function npm(node: string, args: readonly string[]): [command: string, args: readonly string[]];
