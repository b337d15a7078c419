/**
 * A link to a Cluster, of lines of our own: one to each master for commands, and one for the notifications of its
 * slots, as the message of a channel whose slot moves away would be mistaken for the answer to a command.
 *
 * @module
 */

import { createAlarms } from "../../../flow/alarms.ts";
import { TransportBusy, TransportClosed } from "../../../errors.ts";
import type { Call } from "../../../jobs/exchange.ts";
import type { Runtime } from "../../../runtime.ts";
import { ask, commandQuestion, createDemotion, createScripts, type Question, rest } from "./ask.ts";
import { createBells } from "./bells.ts";
import { createCalls, type Ticket } from "../calls.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { ClusterPattern } from "./duplicates.ts";
import { elsewhereOf, explain, isLasting, isPassing, isReplica } from "../errors.ts";
import { createLine, type Line } from "./line.ts";
import type { Link, Reply } from "./link.ts";
import { slotOf } from "./slots.ts";
import { addressOf, createTopology, partsOf } from "./topology.ts";

/** The parts of a link to a Cluster. */
export interface ClusterOptions extends ClusterPattern {
  readonly name: string;
  readonly runtime: Runtime;
  readonly patience: number;
  readonly opened: (connection: Connection) => void;
}

/** A node: its line for commands, and its line for notifications once there is a channel to hear. */
interface Node {
  readonly host: string;
  readonly commands: Line;
  bells: Line | undefined;
}

/** Milliseconds that one node may take to tell the map. */
const MAP_PATIENCE = 2_000;
/**
 * Milliseconds after which the lines to a node are closed that serves nothing any more: its last answers come first.
 */
const RETREAT = 10_000;
/** Redirections in a row after which there is a pause before each. */
const HASTE = 4;
const PAUSE = 100;

/** Why a call waits no longer for a node: another serves its slots. */
const REROUTED = "rerouted";

/** Makes a link; nothing is opened yet. */
export function createClusterLink(options: ClusterOptions): Link {
  const { name, runtime, seeds, recipe, patience } = options;
  const alarms = createAlarms(runtime);
  const calls = createCalls(name, runtime);
  const scripts = createScripts(true);
  const demoted = createDemotion(runtime);
  const nodes = new Map<string, Node>();
  const lines = new Set<Line>();
  const topology = createTopology({ name, runtime, ask: askAny, drawn: retreat });
  const bells = createBells({
    runtime,
    reach: (channel, ticket) => reach(slotOf(channel), ticket, bellLine),
    refused(error) {
      const moved = elsewhereOf(error);
      if (moved !== undefined) topology.refresh();
    },
  });

  function line(host: string, port: number, opened: (connection: Connection) => void): Line {
    const made = createLine({
      name,
      runtime,
      opened,
      async open(signal) {
        return await openConnection({
          name,
          alarms,
          clustered: true,
          patience,
          signal,
          ...await recipe(host, port),
        });
      },
    });
    lines.add(made);
    return made;
  }

  function nodeAt(address: string): Node {
    const found = nodes.get(address);
    if (found !== undefined) return found;
    const { host, port } = partsOf(address);
    const node: Node = { host, commands: line(host, port, options.opened), bells: undefined };
    nodes.set(address, node);
    return node;
  }

  function commandLine(address: string): Line {
    return nodeAt(address).commands;
  }

  function bellLine(address: string): Line {
    const { host, port } = partsOf(address);
    return nodeAt(address).bells ??= line(host, port, () => {});
  }

  /** The map as some node draws it: first one that is there already, else the first that comes to be. */
  async function askAny(): Promise<{ readonly host: string; readonly reply: Reply }> {
    const there = [...nodes].filter(([, { commands }]) => commands.connection?.alive);
    for (const [address] of there) {
      const answer = await askNode(address).catch(() => undefined);
      if (answer !== undefined) return answer;
    }
    const known = new Set([...seeds().map(({ host, port }) => addressOf(host, port)), ...nodes.keys()]);
    const failures: unknown[] = [];
    const asked = [...known].map((address) =>
      askNode(address).catch((error: unknown) => {
        failures.push(error);
        throw error;
      })
    );
    return await Promise.any(asked).catch(() => Promise.reject(failures.find(isLasting) ?? failures[0]));
  }

  async function askNode(address: string): Promise<{ readonly host: string; readonly reply: Reply }> {
    const { host, commands } = nodeAt(address);
    const action = `ask ${name} for its nodes`;
    const reply = await calls.run(
      { deadline: MAP_PATIENCE },
      action,
      (ticket) =>
        ask(
          { name, runtime, ticket, action, reach: (waiting) => commands.connected(waiting) },
          commandQuestion(["CLUSTER", "SLOTS"]),
        ),
    );
    return { host, reply };
  }

  /** Leaves the nodes that serve nothing any more. */
  function retreat(masters: ReadonlySet<string>): void {
    for (const [address, node] of nodes) {
      if (masters.has(address)) continue;
      nodes.delete(address);
      for (const left of [node.commands, node.bells]) {
        if (left === undefined) continue;
        left.dismiss(REROUTED);
        alarms.set(left.connection === undefined || left === node.bells ? 0 : RETREAT, () => {
          lines.delete(left);
          left.close(REROUTED);
        });
      }
    }
  }

  async function reach(
    slot: number,
    ticket: Ticket,
    choose: (address: string) => Line,
  ): Promise<Connection> {
    for (;;) {
      const address = topology.owner(slot);
      if (address === undefined) {
        ticket.late = () =>
          new TransportBusy(`Cannot use ${name} as no node of the Cluster serves a slot of it`);
        await topology.renewed(slot, ticket);
        continue;
      }
      const chosen = choose(address);
      if (chosen.connection?.alive) return chosen.connection;
      try {
        return await topology.during(chosen.connected(ticket));
      } catch (error) {
        if (error !== REROUTED) throw error;
      }
    }
  }

  async function asked(
    key: string,
    call: Call,
    action: string,
    question: Question,
    source?: string,
  ): Promise<Reply> {
    const slot = slotOf(key);
    return await calls.run(call, action, (ticket) => {
      let redirections = 0;
      let asking: string | undefined;
      const elsewhere = async (error: unknown, connection: Connection): Promise<boolean> => {
        asking = undefined;
        const there = elsewhereOf(error);
        if (there === undefined) {
          if (isPassing(error) || isReplica(error)) topology.refresh();
          return await demoted(error, connection);
        }
        if (there.ask) asking = there.address;
        else {
          topology.correct(slot, there.address);
          topology.refresh();
        }
        if (++redirections > HASTE) {
          ticket.late = () => explain(error, name);
          await rest(runtime, PAUSE, ticket);
        }
        return true;
      };
      return ask({
        name,
        runtime,
        ticket,
        action,
        source,
        elsewhere,
        reach: (waiting) =>
          asking === undefined ? reach(slot, waiting, commandLine) : commandLine(asking).connected(waiting),
      }, (connection) => question(asking === undefined ? connection : askingOver(connection)));
    });
  }

  return {
    clustered: true,
    ordered: false,
    get reachable() {
      return [...nodes.values()].some(({ commands }) => commands.connection !== undefined);
    },
    run: (script, keys, args, call) =>
      asked(
        keys[0] ?? "",
        call,
        `run '${script.name}' on ${name}`,
        scripts(script, keys, args),
        script.source,
      ),
    command: (key, args, call) => asked(key, call, `ask ${name}`, commandQuestion(args)),
    listen: bells.listen,
    async close() {
      await calls.close();
      bells.close();
      for (const each of lines) each.close(new TransportClosed(name));
      alarms.clear();
    },
  };
}

/** Each command behind an ASKING, so that a node accepts it for a slot that is on its way there. */
function askingOver(connection: Connection): Connection {
  return {
    ...connection,
    send(args) {
      // Its answer says nothing; that of the command comes after it, or neither comes.
      connection.send(["ASKING"]).catch(() => undefined);
      return connection.send(args);
    },
  };
}
