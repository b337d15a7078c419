export type ServerName = "redis7" | "redis8" | "valkey8" | "nats" | "promtool" | "clock";

export interface ServerBinary {
  readonly command: string;
  /** What stands before the server's own arguments. */
  readonly args: readonly string[];
  /** Its name and version, for reports. */
  readonly title: string;
}

export const serverNames: readonly ServerName[];
export function serverOf(name: ServerName): ServerBinary | undefined;
export function prepareServers(
  say?: (line: string) => void,
): readonly { readonly name: ServerName; readonly why: string }[];
