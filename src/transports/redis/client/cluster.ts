/**
 * A link to a Cluster, of lines of our own: one to each master for commands, and one for the notifications of its
 * slots, as the message of a channel whose slot moves away would be mistaken for the answer to a command.
 *
 * @module
 */

import { type Alarms, createAlarms } from "../../../flow/alarms.ts";
import { TransportBusy, TransportClosed } from "../../../errors.ts";
import type { Call } from "../../../jobs/exchange.ts";
import type { Runtime } from "../../../runtime.ts";
import {
  ask,
  type Asking,
  commandQuestion,
  createDemotion,
  createScripts,
  type Question,
  rest,
} from "./ask.ts";
import { createBells } from "./bells.ts";
import { type Calls, createCalls, type Ticket } from "../../../store/calls.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { ClusterPattern } from "./duplicates.ts";
import { ConnectionLost, elsewhereOf, explain, isLasting, isPassing, isReplica } from "../errors.ts";
import { createLine, type Line } from "./line.ts";
import type { Link, Reply } from "./link.ts";
import { slotOf } from "./slots.ts";
import { addressOf, createTopology, partsOf, type Topology } from "./topology.ts";

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

/** A link, and the nodes that it knows. */
interface State {
  readonly options: ClusterOptions;
  readonly alarms: Alarms;
  readonly calls: Calls;
  readonly topology: Topology;
  readonly nodes: Map<string, Node>;
  readonly lines: Set<Line>;
  readonly demoted: NonNullable<Asking["elsewhere"]>;
}

/** Makes a link; nothing is opened yet. */
export function createClusterLink(options: ClusterOptions): Link {
  const { name, runtime } = options;
  const scripts = createScripts(true);
  const state: State = {
    options,
    alarms: createAlarms(runtime),
    calls: createCalls(name, runtime, (reason) => new ConnectionLost(name, reason)),
    topology: createTopology({
      name,
      runtime,
      ask: () => askAny(state),
      drawn: (masters) => retreat(state, masters),
    }),
    nodes: new Map(),
    lines: new Set(),
    demoted: createDemotion(runtime),
  };
  const { nodes, calls } = state;
  const bells = createBells({
    runtime,
    reach: (channel, ticket) => reach(state, slotOf(channel), ticket, bellLine),
    refused(error) {
      if (elsewhereOf(error) !== undefined) state.topology.refresh();
    },
  });
  return {
    clustered: true,
    ordered: false,
    get reachable() {
      return [...nodes.values()].some(({ commands }) => commands.connection !== undefined);
    },
    run: (script, keys, args, call) =>
      asked(state, keys[0] ?? "", call, {
        action: `run '${script.name}' on ${name}`,
        question: scripts(script, keys, args),
        source: script.source,
      }),
    command: (key, args, call) =>
      asked(state, key, call, { action: `ask ${name}`, question: commandQuestion(args) }),
    listen: bells.listen,
    async close() {
      await calls.close();
      bells.close();
      for (const each of state.lines) each.close(new TransportClosed(name));
      state.alarms.clear();
    },
  };
}

function lineTo(
  { options, alarms, lines }: State,
  host: string,
  port: number,
  opened: (connection: Connection) => void,
): Line {
  const { name, runtime, patience, recipe } = options;
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

function nodeAt(state: State, address: string): Node {
  const found = state.nodes.get(address);
  if (found !== undefined) return found;
  const { host, port } = partsOf(address);
  const node: Node = { host, commands: lineTo(state, host, port, state.options.opened), bells: undefined };
  state.nodes.set(address, node);
  return node;
}

function commandLine(state: State, address: string): Line {
  return nodeAt(state, address).commands;
}

function bellLine(state: State, address: string): Line {
  const { host, port } = partsOf(address);
  return nodeAt(state, address).bells ??= lineTo(state, host, port, () => {});
}

/** The map as some node draws it: first one that is there already, else the first that comes to be. */
async function askAny(state: State): Promise<{ readonly host: string; readonly reply: Reply }> {
  const { nodes, options } = state;
  const there = [...nodes].filter(([, { commands }]) => commands.connection?.alive);
  for (const [address] of there) {
    const answer = await askNode(state, address).catch(() => undefined);
    if (answer !== undefined) return answer;
  }
  const seeds = options.seeds().map(({ host, port }) => addressOf(host, port));
  const known = new Set([...seeds, ...nodes.keys()]);
  const failures: unknown[] = [];
  const answers = [...known].map((address) =>
    askNode(state, address).catch((error: unknown) => {
      failures.push(error);
      throw error;
    })
  );
  return await Promise.any(answers).catch(() => Promise.reject(failures.find(isLasting) ?? failures[0]));
}

async function askNode(
  state: State,
  address: string,
): Promise<{ readonly host: string; readonly reply: Reply }> {
  const { name, runtime } = state.options;
  const { host, commands } = nodeAt(state, address);
  const action = `ask ${name} for its nodes`;
  const reply = await state.calls.run(
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
function retreat({ nodes, lines, alarms }: State, masters: ReadonlySet<string>): void {
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
  state: State,
  slot: number,
  ticket: Ticket,
  choose: (state: State, address: string) => Line,
): Promise<Connection> {
  const { topology, options } = state;
  for (;;) {
    const address = topology.owner(slot);
    if (address === undefined) {
      ticket.late = () =>
        new TransportBusy(`Cannot use ${options.name} as no node of the Cluster serves a slot of it`);
      await topology.renewed(slot, ticket);
      continue;
    }
    const chosen = choose(state, address);
    if (chosen.connection?.alive) return chosen.connection;
    try {
      return await topology.during(chosen.connected(ticket));
    } catch (error) {
      if (error !== REROUTED) throw error;
    }
  }
}

/** A question, and how errors call it. */
interface Wanted {
  /** Completes "Cannot ...". */
  readonly action: string;
  readonly question: Question;
  readonly source?: string;
}

/** Asks the node that serves a key's slot, and the nodes to which that one sends the call. */
async function asked(
  state: State,
  key: string,
  call: Call,
  { action, question, source }: Wanted,
): Promise<Reply> {
  const { options, topology } = state;
  const { name, runtime } = options;
  const slot = slotOf(key);
  return await state.calls.run(call, action, (ticket) => {
    let redirections = 0;
    let asking: string | undefined;
    const elsewhere = async (error: unknown, connection: Connection): Promise<boolean> => {
      asking = undefined;
      const there = elsewhereOf(error);
      if (there === undefined) {
        if (isPassing(error) || isReplica(error)) topology.refresh();
        return await state.demoted(error, connection);
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
    const reached = (waiting: Ticket): Promise<Connection> =>
      asking === undefined
        ? reach(state, slot, waiting, commandLine)
        : commandLine(state, asking).connected(waiting);
    return ask(
      { name, runtime, ticket, action, source, elsewhere, reach: reached },
      (connection, whole) => question(asking === undefined ? connection : askingOver(connection), whole),
    );
  });
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
