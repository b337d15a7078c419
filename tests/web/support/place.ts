/**
 * Where a case's jobs are kept: a store under a clock of its own, the relays upon it, and the promise that nothing of
 * them is alive when the test is over.
 */
import { usersOf } from "../../../src/flow/users.ts";
import { expect, onTestFinished } from "vitest";
import {
  createRelay,
  type Fitting,
  type Jobs,
  memory,
  type Relay,
  type RelayOptions,
  type Transport,
} from "../../../mod.ts";
import { createFakeRuntime, type FakeRuntime } from "../../../src/testing/mod.ts";
import { EXACT, type Pace } from "./kit.ts";

/** What a place's relays may be told, beside the jobs. */
export type PlaceOptions<J extends Jobs> = Omit<RelayOptions<J>, "jobs" | "runtime">;

/** A store, its clock, and relays upon it. */
export interface Place {
  readonly runtime: FakeRuntime;
  readonly pace: Pace;
  /** The one that relays use unless they are given another. */
  readonly transport: Transport;
  /** Another way into the same store, as another process has one; the same transport where there is no other. */
  connect(): Transport;
  /** A relay that is closed when the test is over. */
  relay<const J extends Jobs>(jobs: J & Fitting<J>, options?: PlaceOptions<J>): Relay<J>;
}

/** Opens an empty store for one test. */
export type OpenPlace = () => Place;

/** What a place stands on. */
export interface Ground {
  readonly runtime: FakeRuntime;
  /** Default: exact. */
  readonly pace?: Pace;
  connect(): Transport;
  /** Takes the store away after the test. */
  destroy?(): void;
}

/** Longer than any grace and any call, so that whatever still waits has ended by then. */
const LONG = 600_000;

/** Makes a place; after the test it closes relays, then transports, and looks whether anything still sleeps. */
export function makePlace(ground: Ground): Place {
  const { runtime, pace = EXACT } = ground;
  const relays: { close(options: { grace: number }): Promise<void> }[] = [];
  const transports = new Set<Transport>();
  const connect = (): Transport => {
    const transport = ground.connect();
    // Else the last relay of a test would take the memory away that another is to go on with.
    usersOf(transport).add({});
    transports.add(transport);
    return transport;
  };
  const transport = connect();

  onTestFinished(async () => {
    const closing = Promise.all(relays.map((relay) => relay.close({ grace: 0 })));
    await runtime.advance(LONG);
    await closing;
    await Promise.all([...transports].map((each) => each[Symbol.asyncDispose]()));
    await runtime.settle();
    ground.destroy?.();
    expect(runtime.sleepers, "timers that outlived the test").toBe(0);
  });

  return {
    runtime,
    pace,
    transport,
    connect,
    relay<const J extends Jobs>(jobs: J & Fitting<J>, options?: PlaceOptions<J>) {
      const relay = createRelay<J>({ transport, ...options, jobs, runtime });
      relays.push(relay);
      return relay;
    },
  };
}

/** Memory, under a clock of its own. */
export const memoryPlace: OpenPlace = () => {
  const runtime = createFakeRuntime();
  const only = memory({ runtime });
  return makePlace({ runtime, connect: () => only });
};
