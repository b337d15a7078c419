export interface Tool {
  readonly name: string;
  readonly claim: string;
  readonly command: string;
  readonly args: readonly string[];
  /** What it prints is shown also where it finds nothing. */
  readonly tell?: boolean;
}

export function tools(): readonly Tool[];
export function toolEnvironment(): Record<string, string | undefined>;
