/**
 * Tokens of previews: a write that removes or reloads many is allowed by its preview. A token is a digest
 * of the operation, its input and the instant of the preview, so that no process keeps a state for it.
 *
 * @module
 */

import { Refusal } from "./refusal.ts";

/** Milliseconds for which a preview allows its write. */
export const PREVIEW_VALID: number = 600_000;

/** The token of a preview that was taken at an instant. */
export async function tokenOf(operation: string, input: unknown, instant: number): Promise<string> {
  const text = JSON.stringify([operation, instant, canonical(input)]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${instant.toString(36)}-${hex.slice(0, 24)}`;
}

/**
 * The instant of the preview that allows a write.
 *
 * @throws {Refusal} for no token, one of another operation or input, and one that is older than 10 minutes.
 */
export async function instantOf(
  operation: string,
  input: unknown,
  token: string | undefined,
  now: number,
): Promise<number> {
  const cannot = `Cannot run '${operation}'`;
  if (token === undefined) throw new Refusal("conflict", `${cannot} without the token of its preview`);
  const instant = Number.parseInt(token.split("-")[0] ?? "", 36);
  if (!Number.isSafeInteger(instant) || await tokenOf(operation, input, instant) !== token) {
    throw new Refusal(
      "conflict",
      `${cannot} by this token as it is of another preview: take one with this input`,
    );
  }
  const age = now - instant;
  if (age < 0 || age > PREVIEW_VALID) {
    throw new Refusal(
      "conflict",
      `${cannot} by this token as its preview is older than ${PREVIEW_VALID / 60_000} minutes: take another`,
    );
  }
  return instant;
}

/** The same text for the same input, whatever the order of its keys; absent and undefined are the same. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, each]) => [key, canonical(each)]);
}
