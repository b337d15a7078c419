/**
 * The map of a Cluster: which node serves a slot. Asked of any node that answers, and anew when a call waits for a
 * node that does not.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import { rest } from "./ask.ts";
import type { Ticket } from "../calls.ts";
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

/** Makes a map that knows nothing yet. */
export function createTopology({ name, runtime, ask, drawn }: TopologyOptions): Topology {
  let owners: (string | undefined)[] = new Array<undefined>(SLOTS).fill(undefined);
  let drawing: Promise<void> | undefined;
  let waiting = 0;
  let watching: AbortController | undefined;

  async function draw(): Promise<void> {
    const { host, reply } = await ask();
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
    owners = made;
    drawn(masters);
  }

  function drawOnce(): Promise<void> {
    return drawing ??= draw().finally(() => drawing = undefined);
  }

  function refresh(): void {
    // The error that keeps it from being drawn is told to the calls that cannot do without it.
    drawOnce().catch(() => undefined);
  }

  async function watch(controller: AbortController): Promise<void> {
    while (waiting > 0) {
      await runtime.sleep(PAUSE * (0.5 + runtime.random() / 2), controller.signal).catch(() => undefined);
      if (waiting > 0) await drawOnce().catch(() => undefined);
    }
    watching = undefined;
  }

  return {
    owner: (slot) => owners[slot],
    correct(slot, address) {
      owners[slot] = address;
    },
    refresh,
    async renewed(slot, ticket) {
      try {
        await drawOnce();
        // At once, so that calls go on in the order in which they were made.
        if (owners[slot] !== undefined) return;
      } catch (error) {
        if (isLasting(error)) throw error;
        ticket.late = () => unavailable(name, ticket.deadline, error);
      }
      await rest(runtime, PAUSE * runtime.random() / 2, ticket);
    },
    async during(wait) {
      waiting++;
      if (watching === undefined) {
        watching = new AbortController();
        void watch(watching);
      }
      try {
        return await wait;
      } finally {
        waiting--;
        if (waiting === 0) watching?.abort();
      }
    },
  };
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
