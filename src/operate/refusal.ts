/**
 * An operation that was refused before it did anything.
 *
 * @module
 */

/**
 * Why an operation did nothing. `input`: its input is wrong (exit code 2, status 400); `missing`: the thing that it
 * names is not there (2, 404); `conflict`: its preview allows it no more (2, 409).
 */
export class Refusal extends Error {
  override readonly name: string = "Refusal";
  readonly kind: "input" | "missing" | "conflict";

  constructor(kind: "input" | "missing" | "conflict", message: string) {
    super(message);
    this.kind = kind;
  }
}
