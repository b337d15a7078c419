/**
 * The text exposition format of Prometheus, version 0.0.4.
 *
 * @module
 */

/** The answer to a scrape. */
export const CONTENT_TYPE: string = "text/plain; version=0.0.4; charset=utf-8";

/** A metric with its samples. */
export interface Family {
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** One sample. */
export interface Sample {
  /** Behind the family's name: `_bucket`, `_sum`, `_count`; nothing for counters and gauges. */
  readonly suffix?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Families as text; one without samples is left out. */
export function exposition(families: readonly Family[]): string {
  return families.filter(({ samples }) => samples.length > 0).map(textOf).join("");
}

function textOf({ name, help, type, samples }: Family): string {
  const head = `# HELP ${name} ${
    help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
  }\n# TYPE ${name} ${type}\n`;
  return head +
    samples.map(({ suffix = "", labels, value }) =>
      `${name}${suffix}${labelsOf(labels)} ${numberOf(value)}\n`
    ).join(
      "",
    );
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const all = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return all.length === 0 ? "" : `{${all.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n").toWellFormed();
}

function numberOf(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
