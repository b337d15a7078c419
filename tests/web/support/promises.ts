/** The promises of the design as cases that run on every transport: on memory, unless a test file chooses another. */
import { describe, test } from "vitest";
import { memory } from "../../../mod.ts";
import { createFakeRuntime } from "../../../src/testing/mod.ts";
import { type Place, play, type Stage } from "./stage.ts";

/** Opens an empty store. */
export type OpenPlace = () => Promise<Place>;

/** Writes a case down; its name is a claim. */
export type Claim = (claim: string, run: (stage: Stage) => Promise<void>) => void;

let chosen: OpenPlace = memoryPlace;

/** Lets the promises that are imported after this call be examined on another transport. */
export function examineOn(open: OpenPlace): void {
  chosen = open;
}

/** Registers the cases of a promise. */
export function promise(number: number, name: string, write: (claim: Claim) => void): void {
  const open = chosen;
  describe(`promise ${number}: ${name}`, () => write((claim, run) => test(claim, () => play(open, run))));
}

function memoryPlace(): Promise<Place> {
  const runtime = createFakeRuntime();
  const inner = memory({ runtime });
  // Clients of one memory share the object, which a client that closes must not close for the others.
  return Promise.resolve({
    runtime,
    connect: () => Promise.resolve({ ...inner, [Symbol.asyncDispose]: () => Promise.resolve() }),
    destroy: async () => await inner[Symbol.asyncDispose](),
  });
}
