import { createRelay } from "../../../mod.ts";

/** Proves that a broken case is noticed: the only case that must fail. */
export default {
  test(): void {
    throw new Error(`Fails on purpose, with ${typeof createRelay}`);
  },
};
