/** Compiles only where both types are the same. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles only for what is true of types. */
export function holds<_Claim extends true>(): void {}

/** Compiles only for values of the type. */
export function takes<T>(_value: T): void {}
