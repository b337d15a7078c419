/**
 * A link to one server: one connection that carries commands and notifications, made anew whenever it ends.
 *
 * @module
 */

import { ConnectionLost } from "../errors.ts";
import { type Alarms, createAlarms } from "../../../flow/alarms.ts";
import { TransportClosed } from "../../../errors.ts";
import type { Call } from "../../../jobs/exchange.ts";
import type { Runtime } from "../../../runtime.ts";
import { ask, commandQuestion, createDemotion, createScripts, type Question } from "./ask.ts";
import { createBells } from "./bells.ts";
import { createCalls } from "../../../store/calls.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { Recipe } from "./driver.ts";
import { createLine } from "./line.ts";
import type { Link, Reply } from "./link.ts";

/** The parts of a link to one server. */
export interface StandaloneOptions {
  readonly name: string;
  readonly runtime: Runtime;
  /** How the client of the next connection is made. */
  readonly recipe: (alarms: Alarms) => Promise<Recipe>;
  /** Milliseconds that a connection may take until it is ready. */
  readonly patience: number;
  /** Told of each connection. */
  readonly opened: (connection: Connection) => void;
}

/** Makes a link; nothing is opened yet. */
export function createStandalone(options: StandaloneOptions): Link {
  const { name, runtime, recipe, patience, opened } = options;
  const alarms = createAlarms(runtime);
  const calls = createCalls(name, runtime, (reason) => new ConnectionLost(name, reason));
  const scripts = createScripts(false);
  const line = createLine({
    name,
    runtime,
    opened,
    open: async (signal) =>
      await openConnection({ name, alarms, clustered: false, patience, signal, ...await recipe(alarms) }),
  });
  const reach = line.connected;
  const bells = createBells({ runtime, reach: (_, ticket) => reach(ticket), refused: () => {} });
  const demoted = createDemotion(runtime);

  function asked(call: Call, action: string, question: Question, source?: string): Promise<Reply> {
    return calls.run(
      call,
      action,
      (ticket) => ask({ name, runtime, ticket, action, source, reach, elsewhere: demoted }, question),
    );
  }

  return {
    clustered: false,
    ordered: true,
    get reachable() {
      return line.connection !== undefined;
    },
    run: (script, keys, args, call) =>
      asked(call, `run '${script.name}' on ${name}`, scripts(script, keys, args), script.source),
    command: (_, args, call) => asked(call, `ask ${name}`, commandQuestion(args)),
    listen: bells.listen,
    async close() {
      await calls.close();
      bells.close();
      line.close(new TransportClosed(name));
      alarms.clear();
    },
  };
}
