/**
 * A link to one server: one connection of our own that carries commands and bells, or a client that was handed over and,
 * for the bells, a duplicate of it.
 *
 * @module
 */

import { createAlarms } from "../../alarms.ts";
import { TransportClosed } from "../../errors.ts";
import type { Call } from "../../exchange.ts";
import type { Runtime } from "../../runtime.ts";
import { ask, commandQuestion, createScripts, type Question } from "./ask.ts";
import { createBells } from "./bells.ts";
import { createCalls } from "./calls.ts";
import { type Connection, openConnection } from "./connection.ts";
import { type Client, createDriver } from "./driver.ts";
import { createGuestLine } from "./guest.ts";
import { createLine, type Line } from "./line.ts";
import type { Link, Reply } from "./link.ts";

/** What a link to one server is made of. */
export interface StandaloneOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** Options of node-redis for a client of our own, or somebody's client. */
  readonly client: { readonly own: { readonly socket: object } } | { readonly guest: Client };
  /** Milliseconds that a connection may take until it is ready. */
  readonly patience: number;
  /** Told of each connection that is there for commands. */
  readonly opened: (connection: Connection) => void;
}

/** Makes a link; nothing is opened yet. */
export function createStandalone(options: StandaloneOptions): Link {
  const { name, runtime, client, patience, opened } = options;
  const alarms = createAlarms(runtime);
  const calls = createCalls(name, runtime);
  const scripts = createScripts(false);
  const driver = createDriver();
  const lines: Line[] = [];

  function ownLine(told: (connection: Connection) => void): Line {
    const line = createLine({
      name,
      runtime,
      opened: told,
      async open(signal) {
        const own = "own" in client
          ? { create: await driver(), client: client.own }
          : { create: client.guest.duplicate.bind(client.guest), client: duplicateOf(client.guest) };
        return await openConnection({ name, alarms, clustered: false, patience, signal, ...own });
      },
    });
    lines.push(line);
    return line;
  }

  const line = "own" in client ? ownLine(opened) : createGuestLine(name, client.guest, opened);
  const bellLine = "own" in client ? line : ownLine(() => {});
  const bells = createBells({
    runtime,
    reach: (_, ticket) => bellLine.connected(ticket),
    refused: () => {},
  });

  function asked(call: Call, action: string, question: Question): Promise<Reply> {
    return calls.run(
      call,
      action,
      (ticket) =>
        ask({ name, runtime, ticket, action, reach: (waiting) => line.connected(waiting) }, question),
    );
  }

  return {
    clustered: false,
    ordered: bellLine === line,
    get reachable() {
      return line.connection !== undefined;
    },
    run: (script, keys, args, call) =>
      asked(call, `run '${script.name}' on ${name}`, scripts(script, keys, args)),
    command: (_, args, call) => asked(call, `ask ${name}`, commandQuestion(args)),
    listen: bells.listen,
    async close() {
      await calls.close();
      bells.close();
      for (const each of lines) each.close(new TransportClosed(name));
      alarms.clear();
    },
  };
}

/** What a duplicate of somebody's client must not share: the socket's options, which are changed. */
export function duplicateOf({ options }: Client): { readonly socket: object } {
  const socket: unknown = options === undefined ? undefined : Reflect.get(options, "socket");
  return { socket: typeof socket === "object" && socket !== null ? { ...socket } : {} };
}
