export interface Tool {
  readonly name: string;
  readonly claim: string;
  readonly command: string;
  readonly args: readonly string[];
}

export function tools(): readonly Tool[];
export function toolEnvironment(): Record<string, string | undefined>;
