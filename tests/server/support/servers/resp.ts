/** A Redis client of a few lines, beside the one that the transport uses: what any other program may send. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** An answer: texts for strings, numbers for integers, `null` for nil. */
export type Reply = string | number | null | readonly Reply[];

/** A connection to one server. */
export interface RespClient extends AsyncDisposable {
  /** Sends a command; rejects with what the server complains of. */
  send(...args: readonly (string | number | Uint8Array)[]): Promise<Reply>;
}

interface Waiter {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

/** An answer that is a complaint, until it is known whose it is. */
class Complaint {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Parsed = { readonly value: Reply | Complaint; readonly end: number } | undefined;

/** Connects; rejects when nobody listens. */
export async function connectResp(port: number, auth?: readonly [string, string]): Promise<RespClient> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const waiters: Waiter[] = [];
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let rest: Buffer = Buffer.alloc(0);
  const fail = (error: Error): void => {
    for (const { reject } of waiters.splice(0)) reject(error);
  };
  const hear = (chunk: Buffer): void => {
    rest = Buffer.concat([rest, chunk]);
    for (let parsed = parse(rest, 0); parsed !== undefined; parsed = parse(rest, 0)) {
      rest = rest.subarray(parsed.end);
      const waiter = waiters.shift();
      if (parsed.value instanceof Complaint) waiter?.reject(new Error(parsed.value.text));
      else waiter?.resolve(parsed.value);
    }
  };
  socket.on("data", (chunk: Buffer) => {
    try {
      hear(chunk);
    } catch (error) {
      // Another server has the port, and says so in its own words.
      socket.destroy(error as Error);
    }
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("The connection was closed")));
  await opened(socket);
  const send: RespClient["send"] = (...args) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new Error("The connection is closed"));
      waiters.push({ resolve, reject });
      socket.write(command(args));
    });
  const client: RespClient = {
    send,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await closed;
    },
  };
  if (auth !== undefined) {
    try {
      await send("AUTH", ...auth);
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }
  return client;
}

function opened(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("The connection was closed")));
  });
}

function command(args: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = typeof arg === "object" ? Buffer.from(arg) : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
}

/** One answer of RESP 2 from `at` on, if it is there as a whole. */
function parse(data: Buffer, at: number): Parsed {
  const line = data.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const head = data.toString("utf8", at + 1, line);
  const next = line + 2;
  switch (data.toString("latin1", at, at + 1)) {
    case "+":
      return { value: head, end: next };
    case "-":
      return { value: new Complaint(head), end: next };
    case ":":
      return { value: Number(head), end: next };
    case "$":
      return bulk(data, Number(head), next);
    case "*":
      return array(data, Number(head), next);
    default:
      throw new Error(`Not an answer of Redis: ${data.toString("utf8", at, line)}`);
  }
}

function bulk(data: Buffer, length: number, from: number): Parsed {
  if (length < 0) return { value: null, end: from };
  const end = from + length;
  return data.length < end + 2 ? undefined : { value: data.toString("utf8", from, end), end: end + 2 };
}

function array(data: Buffer, length: number, from: number): Parsed {
  if (length < 0) return { value: null, end: from };
  const items: Reply[] = [];
  let at = from;
  for (let n = 0; n < length; n++) {
    const item = parse(data, at);
    if (item === undefined) return undefined;
    items.push(item.value instanceof Complaint ? item.value.text : item.value);
    at = item.end;
  }
  return { value: items, end: at };
}
