/**
 * The map of a Cluster: which node serves a slot. Asked of any node that answers, and anew when a call waits for a
 * node that does not.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import { rest } from "./ask.ts";
import type { Ticket } from "../../../store/calls.ts";
import { textOf } from "./driver.ts";
import { isLasting, unavailable } from "../errors.ts";
import type { Reply } from "./link.ts";
import { SLOTS } from "./slots.ts";

/** A map of the slots. */
export interface Topology {
  /** The address of the node that serves a slot, as far as is known. */
  owner(slot: number): string | undefined;
  /** A node said which one serves it instead. */
  correct(slot: number, address: string): void;
  /** Asks for the map anew, soon, unless that is under way. */
  refresh(): void;
  /** Resolves when a new map has the slot, else after a pause; rejects when to wait is of no use. */
  renewed(slot: number, ticket: Ticket): Promise<void>;
  /** Asks for the map every now and then for as long as `waiting` lasts. */
  during<T>(waiting: Promise<T>): Promise<T>;
}

/** The parts of a map. */
export interface TopologyOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** Asks any node for `CLUSTER SLOTS`; answers with the host of the node that was asked. */
  readonly ask: () => Promise<{ readonly host: string; readonly reply: Reply }>;
  /** Told of the addresses of all masters of a new map. */
  readonly drawn: (masters: ReadonlySet<string>) => void;
}

/** Milliseconds between two maps while a call waits for a node. */
const PAUSE = 500;

/** A map, and the calls that wait for another. */
interface State {
  readonly options: TopologyOptions;
  owners: (string | undefined)[];
  drawing: Promise<void> | undefined;
  waiting: number;
  watching: AbortController | undefined;
}

/** Makes a map that knows nothing yet. */
export function createTopology(options: TopologyOptions): Topology {
  const state: State = {
    options,
    owners: new Array<undefined>(SLOTS).fill(undefined),
    drawing: undefined,
    waiting: 0,
    watching: undefined,
  };
  return {
    owner: (slot) => state.owners[slot],
    correct(slot, address) {
      state.owners[slot] = address;
    },
    refresh() {
      // The error that keeps it from being drawn is told to the calls that cannot do without it.
      drawOnce(state).catch(() => undefined);
    },
    renewed: (slot, ticket) => renewed(state, slot, ticket),
    async during(wait) {
      state.waiting++;
      if (state.watching === undefined) {
        state.watching = new AbortController();
        void watch(state, state.watching);
      }
      try {
        return await wait;
      } finally {
        state.waiting--;
        if (state.waiting === 0) state.watching?.abort();
      }
    },
  };
}

function drawOnce(state: State): Promise<void> {
  return state.drawing ??= draw(state).finally(() => state.drawing = undefined);
}

async function draw(state: State): Promise<void> {
  const { host, reply } = await state.options.ask();
  const made: (string | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  const masters = new Set<string>();
  for (const range of listOf(reply)) {
    const [from, to, master] = listOf(range);
    const [at, port] = listOf(master);
    if (typeof from !== "number" || typeof to !== "number" || typeof port !== "number") continue;
    // A node that does not know its own address says none: it is where it was asked.
    const address = addressOf(textOf(at).replace(/^\?$/, "") || host, port);
    masters.add(address);
    made.fill(address, from, to + 1);
  }
  state.owners = made;
  state.options.drawn(masters);
}

async function watch(state: State, controller: AbortController): Promise<void> {
  const { runtime } = state.options;
  while (state.waiting > 0) {
    await runtime.sleep(PAUSE * (0.5 + runtime.random() / 2), controller.signal).catch(() => undefined);
    if (state.waiting > 0) await drawOnce(state).catch(() => undefined);
  }
  state.watching = undefined;
}

async function renewed(state: State, slot: number, ticket: Ticket): Promise<void> {
  const { name, runtime } = state.options;
  try {
    await drawOnce(state);
    // At once, so that calls go on in the order in which they were made.
    if (state.owners[slot] !== undefined) return;
  } catch (error) {
    if (isLasting(error)) throw error;
    ticket.late = () => unavailable(name, ticket.deadline, error);
  }
  await rest(runtime, PAUSE * runtime.random() / 2, ticket);
}

function listOf(reply: Reply | undefined): readonly Reply[] {
  return Array.isArray(reply) ? reply : [];
}

/** A host and a port as one text. */
export function addressOf(host: string, port: number): string {
  return `${host}:${port}`;
}

/** The host and the port of such a text. */
export function partsOf(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}
