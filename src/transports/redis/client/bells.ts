/**
 * Notifications: shard channels that are heard through reconnects, and at the node to which their slot has moved.
 *
 * @module
 */

import type { Runtime } from "../../../runtime.ts";
import { rest } from "./ask.ts";
import { createTicket, endTicket, type Held, type Ticket } from "../../../store/calls.ts";
import type { Connection } from "./connection.ts";
import { isForbidden } from "../errors.ts";
import type { Listener, Listening } from "./link.ts";

/** Hears notifications. */
export interface Bells {
  /** As in `link.ts`. */
  listen(channel: string, listener: Listener): Listening;
  /** Hears nothing more. */
  close(): void;
}

/** Where notifications are heard. */
export interface BellsOptions {
  readonly runtime: Runtime;
  /** The connection over which a channel can be heard now. */
  readonly reach: (channel: string, ticket: Ticket) => Promise<Connection>;
  /** Told of a server's error about a channel; its slot may have moved. */
  readonly refused: (error: unknown) => void;
}

/** One channel. */
interface Bell {
  readonly ticket: Held;
  readonly listeners: Set<Listener>;
  /** Whether it is heard, once that is known; false: it never will be. */
  readonly known: Promise<boolean>;
}

/** Milliseconds between two tries to hear a channel that a server does not let be heard. */
const PAUSE = 500;

/** Makes the notifications of a link; no channel is heard yet. */
export function createBells({ runtime, reach, refused }: BellsOptions): Bells {
  const bells = new Map<string, Bell>();

  async function keep(channel: string, bell: Bell, tell: (heard: boolean) => void): Promise<void> {
    const { ticket, listeners } = bell;
    const ring = (message: string): void => {
      for (const listener of [...listeners]) listener.heard(message);
    };
    let deaf = false;
    while (!ticket.over) {
      try {
        const connection = await reach(channel, ticket);
        const leave = await connection.subscribe(channel, ring);
        tell(true);
        if (deaf) ring("");
        deaf = true;
        await lastingOf(connection, ticket);
        if (!ticket.over && !connection.moved) { for (const listener of [...listeners]) listener.lost(); }
        // Over a connection that is gone there is nothing left to leave.
        if (ticket.over && connection.alive) await leave().catch(() => undefined);
      } catch (error) {
        if (ticket.over) return;
        if (isForbidden(error)) {
          bells.delete(channel);
          endTicket(bell.ticket);
          return tell(false);
        }
        refused(error);
        await rest(runtime, PAUSE * (0.5 + runtime.random() / 2), ticket).catch(() => undefined);
      }
    }
  }

  function hang(channel: string): Bell {
    let tell = (_: boolean): void => {};
    const known = new Promise<boolean>((resolve) => tell = resolve);
    const ticket = createTicket(Infinity);
    const bell: Bell = { ticket, listeners: new Set(), known };
    bells.set(channel, bell);
    void keep(channel, bell, tell).finally(() => tell(false));
    return bell;
  }

  return {
    listen(channel, listener) {
      const bell = bells.get(channel) ?? hang(channel);
      bell.listeners.add(listener);
      return {
        known: bell.known,
        leave() {
          bell.listeners.delete(listener);
          if (bell.listeners.size > 0) return;
          if (bells.get(channel) === bell) bells.delete(channel);
          endTicket(bell.ticket);
        },
      };
    },
    close() {
      for (const bell of bells.values()) endTicket(bell.ticket);
      bells.clear();
    },
  };
}

/** Resolves when the connection is lost or the ticket over. */
function lastingOf(connection: Connection, ticket: Ticket): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stay();
      unhook();
      resolve();
    };
    let unhook = (): void => {};
    let stay = (): void => {};
    unhook = connection.whenLost(end);
    stay = ticket.whenOver(end);
  });
}
