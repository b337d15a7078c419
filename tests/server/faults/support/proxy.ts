/** A link that can fail: a TCP proxy on loopback whose connections fall silent, lose what is answered, or break. */
import { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";

export interface Proxy {
  readonly port: number;
  /**
   * Makes every connection half-open: what either side sends is swallowed, and neither side is told. Connections made
   * meanwhile are accepted and as silent; none of them ever speaks again.
   */
  silence(): void;
  /** Swallows what the server answers; what it is sent still reaches it. */
  mute(): void;
  /** Waits for the next answer of the server that no client hears. */
  swallowed(): Promise<void>;
  /**
   * Holds back what the server sends, from now on or from where a text comes; what it is sent still reaches it. Returns
   * what lets all of it come, in its order.
   */
  stall(from?: string): () => void;
  /** Lets connections that are made from now on work. */
  heal(): void;
  /** Leads connections that are made from now on to another port. */
  lead(port: number): void;
  /** Breaks every connection, and heals. */
  cut(): void;
  close(): Promise<void>;
}

/** One connection, both of its ends. */
interface Line {
  readonly near: Socket;
  readonly far: Socket;
  deaf: boolean;
  dumb: boolean;
  /** What the server has sent and the other end has not got; undefined where nothing is held back. */
  held: Uint8Array[] | undefined;
  /** The text from which on all is held back, and the end of what was sent, with which it may begin. */
  from: string | undefined;
  tail: string;
}

/** How much of a chunk comes before the text from which on all is held back; undefined where that is not in it. */
function openPart(line: Line, chunk: Uint8Array): number | undefined {
  if (line.from === undefined) return undefined;
  const text = line.tail + Buffer.from(chunk).toString("latin1");
  const at = text.indexOf(line.from);
  const sent = line.tail.length;
  line.tail = text.slice(text.length - Math.min(text.length, line.from.length - 1));
  return at < 0 ? undefined : Math.max(0, at - sent);
}

export async function openProxy(target: number): Promise<Proxy> {
  const lines = new Set<Line>();
  const waiting = new Set<() => void>();
  let deaf = false;
  let dumb = false;
  let there = target;

  function swallow(): void {
    for (const heard of waiting) heard();
    waiting.clear();
  }

  function join(near: Socket): void {
    const far = connect(there, "127.0.0.1");
    const line: Line = { near, far, deaf, dumb, held: undefined, from: undefined, tail: "" };
    lines.add(line);
    near.on("data", (chunk) => line.deaf || far.write(chunk));
    far.on("data", (chunk) => {
      const part = line.held === undefined ? openPart(line, chunk) : 0;
      if (part !== undefined) {
        if (part > 0) near.write(chunk.subarray(0, part));
        (line.held ??= []).push(chunk.subarray(part));
      } else if (line.dumb) swallow();
      else near.write(chunk);
    });
    for (const end of [near, far]) {
      end.setNoDelay(true);
      // A broken end is seen by its closing.
      end.on("error", () => undefined);
    }
    // An end that is told of nothing keeps its connection, as over a cable that was pulled.
    near.on("close", () => drop(line));
    far.on("close", () => line.dumb || drop(line));
  }

  function drop(line: Line): void {
    lines.delete(line);
    line.near.destroy();
    line.far.destroy();
  }

  function heal(): void {
    deaf = false;
    dumb = false;
  }

  const server = createServer(join);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");
  return {
    port: address.port,
    silence() {
      deaf = true;
      dumb = true;
      for (const line of lines) line.deaf = line.dumb = true;
    },
    mute() {
      dumb = true;
      for (const line of lines) line.dumb = true;
    },
    stall(from) {
      for (const line of lines) {
        if (from === undefined) line.held = [];
        else [line.from, line.tail] = [from, ""];
      }
      return () => {
        for (const line of lines) {
          for (const chunk of line.held ?? []) line.near.write(chunk);
          line.held = line.from = undefined;
        }
      };
    },
    swallowed: () => new Promise((resolve) => void waiting.add(resolve)),
    heal,
    lead(port) {
      there = port;
    },
    cut() {
      heal();
      for (const line of [...lines]) drop(line);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const line of [...lines]) drop(line);
      await closed;
    },
  };
}
