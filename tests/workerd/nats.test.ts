import { type NatsServer, startNats } from "../server/support/servers/nats.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { bundle, type Part, without } from "./support/bundle.ts";
import { edgeCases, RIGHT } from "./support/edge_cases.ts";
import { FLAGS } from "./support/flags.ts";

/** The client for TCP, which needs Node's sockets. */
const TCP = /node_modules\/@nats-io\/transport-node\//;

let bundled: ReturnType<typeof bundle> | undefined;
const program = (): ReturnType<typeof bundle> => bundled ??= bundle("tests/workerd/edge/nats.ts");

/** What the worker needs for WebSocket. */
async function web(): Promise<readonly Part[]> {
  return without(await program(), TCP);
}

for (const over of ["WebSocket", "TCP"] as const) {
  const tcp = over === "TCP";
  describeOn(
    ["nats"],
    `NATS over ${over} in bare workerd ${tcp ? "with nodejs_compat" : "without flags"}`,
    () => {
      let server: NatsServer;
      const config = `authorization { user: app, password: ${RIGHT} }`;
      const auth = { user: "app", pass: RIGHT };
      const started = owned(() => startNats({ config, auth }));
      edgeCases({
        modules: async () => tcp ? (await program()).parts : await web(),
        flags: tcp ? FLAGS.tcp : FLAGS.webSocket,
        server: async () => server = await started(),
        url: (_, password) => (tcp ? server.url : server.ws).replace("//", `//app:${password}@`),
        connections: async () => Number((await server.monitor("/connz")).num_connections),
      });
    },
  );
}
