/** A NATS client of a few lines, beside the one that the transport uses: what any other program may publish. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** What a server says of itself when somebody connects. */
export interface ServerInfo {
  readonly server_name: string;
  readonly version: string;
  readonly max_payload: number;
  readonly tls_required?: boolean;
}

/** Who a connection says it is. */
export type Credentials =
  | { readonly user: string; readonly pass: string }
  | { readonly auth_token: string }
  | { readonly jwt: string };

/** A client's certificate and its key, in PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** A connection to one server. */
export interface RawNats extends AsyncDisposable {
  readonly info: ServerInfo;
  /** Publishes, and resolves when the server has it; a stream may or may not take it. */
  publish(subject: string, payload?: Uint8Array | string): Promise<void>;
  /** Publishes and resolves with the one answer, as text: what JetStream's own calls are made of. */
  request(subject: string, payload?: Uint8Array | string): Promise<string>;
}

/** Milliseconds for which an answer is waited for, and how often it is asked for. */
const SILENCE = 3_000;
const TRIES = 20;

/** Connects; rejects when nobody listens or the server does not want us. Over TLS any certificate is taken. */
export async function connectNats(
  port: number,
  auth?: Credentials,
  certificate?: ClientCertificate,
): Promise<RawNats> {
  let socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const inbox = `_INBOX.${crypto.randomUUID()}`;
  const answers = new Map<string, (payload: string) => void>();
  const pongs: (() => void)[] = [];
  const failures: ((error: Error) => void)[] = [];
  const { promise: greeted, resolve: greet } = Promise.withResolvers<ServerInfo>();
  let broken: Error | undefined;
  let closed: Promise<unknown> | undefined;
  const fail = (error: Error): void => {
    broken ??= error;
    for (const reject of failures.splice(0)) reject(broken);
  };
  const hear = (): void => {
    closed = new Promise((resolve) => socket.once("close", resolve));
    readFrom(socket, (line, payload) => {
      const [verb = "", subject = ""] = line.split(" ");
      if (verb === "INFO") greet(JSON.parse(line.slice(5)) as ServerInfo);
      else if (verb === "PING") socket.write("PONG\r\n");
      else if (verb === "PONG") pongs.shift()?.();
      else if (verb === "-ERR") fail(new Error(line));
      else if (verb === "MSG" || verb === "HMSG") answers.get(subject)?.(payload);
    });
    socket.on("error", fail);
    socket.on("close", () => fail(new Error("The connection was closed")));
  };
  hear();

  function answered<T>(begin: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (broken !== undefined) return reject(broken);
      failures.push(reject);
      begin((value) => {
        failures.splice(failures.indexOf(reject), 1);
        resolve(value);
      });
    });
  }
  const flushed = (...parts: readonly (string | Uint8Array)[]): Promise<void> =>
    answered((resolve) => {
      pongs.push(resolve);
      socket.write(Buffer.concat([...parts, "PING\r\n"].map((part) => Buffer.from(part as string))));
    });
  const message = (subject: string, reply: string, payload: Uint8Array | string): Buffer => {
    const body = Buffer.from(payload as string);
    return Buffer.concat([
      Buffer.from(`PUB ${subject} ${reply}${body.length}\r\n`),
      body,
      Buffer.from("\r\n"),
    ]);
  };

  async function dispose(): Promise<void> {
    socket.destroy();
    await closed;
  }

  try {
    const info = await answered<ServerInfo>((resolve) => void greeted.then(resolve));
    if (info.tls_required === true) {
      socket.removeAllListeners("data");
      socket = connectTls({ socket, rejectUnauthorized: false, ...certificate });
      hear();
    }
    const options = { verbose: false, pedantic: false, headers: true, no_responders: true, ...auth };
    await flushed(`CONNECT ${JSON.stringify(options)}\r\nSUB ${inbox}.* 1\r\n`);
    return {
      info,
      publish: (subject, payload = "") => flushed(message(subject, "", payload)),
      request: (subject, payload = "") =>
        answered((resolve) => {
          const reply = `${inbox}.${crypto.randomUUID()}`;
          answers.set(reply, (text) => {
            answers.delete(reply);
            resolve(text);
          });
          socket.write(message(subject, `${reply} `, payload));
        }),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** What a client is answered; undefined when that is nothing for so many milliseconds, as no event tells of silence. */
export async function answerWithin(
  client: RawNats,
  call: string,
  ms: number,
): Promise<string | undefined> {
  const { promise: silence, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms);
  const answer = client.request(call);
  answer.catch(() => undefined);
  return await Promise.race([answer, silence]).finally(() => clearTimeout(timer));
}

/**
 * What a client is answered, asked again while nothing comes: a cluster says nothing to who deletes a stream that it is
 * about to make.
 */
export async function insisted(client: RawNats, call: string): Promise<string> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const answer = await answerWithin(client, call, SILENCE);
    if (answer !== undefined) return answer;
  }
  throw new Error(`No answer to '${call}' within ${TRIES * SILENCE} ms`);
}

/** Cuts what arrives into lines, with the payload behind a line that announces one. */
function readFrom(socket: Socket, heard: (line: string, payload: string) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf("\r\n");
      if (end < 0) return;
      const line = rest.toString("utf8", 0, end);
      const words = line.trim().split(" ");
      const size = /^H?MSG /.test(line) ? Number(words.at(-1)) : undefined;
      const head = line.startsWith("HMSG ") ? Number(words.at(-2)) : 0;
      const from = end + 2;
      if (size !== undefined && rest.length < from + size + 2) return;
      const payload = size === undefined ? "" : rest.toString("utf8", from + head, from + size);
      rest = rest.subarray(size === undefined ? from : from + size + 2);
      heard(line, payload);
    }
  });
}
