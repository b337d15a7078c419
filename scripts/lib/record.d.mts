export interface AllRecord {
  readonly date?: string;
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
  readonly seconds?: number;
  /** A digest of each transport's files when its storms passed last. */
  readonly storms: Readonly<Record<string, string>>;
}

/** A digest of a transport's files, and of those of its storms. */
export function digestOf(transport: string): string;
export function readRecord(): AllRecord;
export function sentenceOf(record: AllRecord): string;
