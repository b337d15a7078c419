/** NATS servers of tests. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { becomes } from "../becomes.ts";
import { connectNats, type Credentials, type RawNats } from "./nats_client.ts";
import { type Server, startServer } from "./server.ts";

/** A certificate that nobody vouches for: `cert` is that of `localhost`, `address` that of 127.0.0.1. */
export type Certificate = "cert" | "address";

/** Where the file of a certificate is. */
export function certificateFile(name: Certificate | "key"): string {
  return fileURLToPath(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url));
}

/** How a server is set up. */
export interface NatsOptions {
  /** Whether it has JetStream. Default true. */
  readonly jetstream?: boolean;
  /** Limits of JetStream's account, `{ max_file: "4MB", max_memory: "1MB" }`. */
  readonly limits?: Readonly<Record<string, string | number>>;
  /** More of the configuration, as its file has it: `authorization { user: a, password: b }`, `max_payload: 64KB`. */
  readonly config?: string;
  /** What the connections of `raw` say of themselves, where the configuration asks for it. */
  readonly auth?: Credentials;
  /** Speaks TLS alone, over TCP and over WebSocket, with one of the certificates. Default: none. */
  readonly tls?: Certificate;
  /** With `tls`: takes those clients alone that show the server's own certificate. Default false. */
  readonly verify?: boolean;
  /** Where its folder is made. Default: where the system keeps what is temporary. */
  readonly root?: string | undefined;
  /** A node of a cluster: its name, its port for the others, and theirs. */
  readonly cluster?: { readonly name: string; readonly port: number; readonly routes: readonly number[] };
}

/** A server, alone or in a cluster. */
export interface NatsServer extends Server {
  /** For TCP or TLS, without user and password. */
  readonly url: string;
  /** For WebSocket, without user and password. */
  readonly ws: string;
  /** A connection of another program. */
  raw(): Promise<RawNats>;
  /** Has it read its configuration anew, with another `config`; clients stay connected. */
  reconfigure(config: string): Promise<void>;
  /** Writes other limits of JetStream's account into its configuration: they hold from its next start on. */
  relimit(limits: NatsOptions["limits"]): void;
  /** What a page of the server's monitoring says, such as `/connz` or `/jsz`. */
  monitor(page: string): Promise<Record<string, unknown>>;
}

/** Starts a server with JetStream on files, TCP and WebSocket. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const { jetstream = true, auth, tls, verify = false } = options;
  const pem = (name: Certificate | "key"): string => readFileSync(certificateFile(name), "utf8");
  const shown = tls === undefined || !verify ? undefined : { cert: pem(tls), key: pem("key") };
  const serverName = `relevo-${crypto.randomUUID()}`;
  const host = tls === "cert" ? "localhost" : "127.0.0.1";
  let ports: readonly number[] = [];
  let rewrite = (_: Partial<NatsOptions>): void => {};
  const server = await startServer({
    server: "nats",
    root: options.root,
    ports: 3,
    configure(folder, all, log) {
      ports = all;
      const file = join(folder, "nats.conf");
      writeFileSync(file, configuration(options, serverName, folder, all));
      rewrite = (changed) =>
        writeFileSync(file, configuration({ ...options, ...changed }, serverName, folder, all));
      return ["-c", file, "-l", log];
    },
    async ready(port) {
      const client = await connectNats(port, auth, shown);
      try {
        // A node of a cluster serves when the nodes have chosen a leader, and the cluster waits for that.
        if (client.info.server_name !== serverName) return false;
        if (!jetstream || options.cluster !== undefined) return true;
        return !("error" in JSON.parse(await client.request("$JS.API.INFO")));
      } finally {
        await client[Symbol.asyncDispose]();
      }
    },
  });
  return {
    ...server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    url: `${tls === undefined ? "nats" : "tls"}://${host}:${server.port}`,
    ws: `${tls === undefined ? "ws" : "wss"}://${host}:${ports[1]}`,
    raw: () => connectNats(server.port, auth, shown),
    async reconfigure(config) {
      const loaded = async (): Promise<unknown> =>
        (await (await fetch(`http://127.0.0.1:${ports[2]}/varz`)).json())["config_load_time"];
      const before = await loaded();
      rewrite({ config });
      process.kill(server.pid(), "SIGHUP");
      await becomes("the server has read its configuration anew", async () => await loaded() !== before);
    },
    relimit: (changed = {}) => rewrite({ limits: changed }),
    async monitor(page) {
      const answer = await fetch(`http://127.0.0.1:${ports[2]}${page}`, {
        headers: { connection: "close" },
      });
      return await answer.json() as Record<string, unknown>;
    },
  };
}

function configuration(
  { jetstream = true, limits = {}, config = "", tls, verify = false, cluster }: NatsOptions,
  name: string,
  folder: string,
  [port, ws, http]: readonly number[],
): string {
  const settings = Object.entries(limits).map(([key, value]) => `${key}: ${value}`).join(", ");
  const store = `store_dir: ${JSON.stringify(join(folder, "data"))}`;
  const secure = tls === undefined
    ? undefined
    : `tls { cert_file: "${certificateFile(tls)}", key_file: "${certificateFile("key")}"${
      verify ? `, ca_file: "${certificateFile(tls)}", verify: true` : ""
    } }`;
  const nodes = cluster?.routes.map((route) => `"nats://127.0.0.1:${route}"`).join(", ");
  return [
    `server_name: "${name}"`,
    `listen: "127.0.0.1:${port}"`,
    `http: "127.0.0.1:${http}"`,
    `websocket { listen: "127.0.0.1:${ws}", ${secure ?? "no_tls: true"} }`,
    ...(secure === undefined ? [] : [secure]),
    ...(jetstream ? [`jetstream { ${store}${settings === "" ? "" : `, ${settings}`} }`] : []),
    ...(cluster === undefined
      ? []
      : [`cluster { name: "${cluster.name}", listen: "127.0.0.1:${cluster.port}", routes: [${nodes}] }`]),
    config,
    "",
  ].join("\n");
}
