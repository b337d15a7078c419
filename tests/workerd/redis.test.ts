import { type RedisServer, startRedis } from "../server/support/servers/redis.ts";
import { describeOn, owned } from "../server/support/servers/owned.ts";
import { connections } from "../server/redis/support.ts";
import { bundle } from "./support/bundle.ts";
import { edgeCases, RIGHT } from "./support/edge_cases.ts";
import { FLAGS } from "./support/flags.ts";

describeOn(["redis7"], "Redis in bare workerd with nodejs_compat", () => {
  let server: RedisServer;
  const started = owned(() => startRedis({ config: { requirepass: RIGHT } }));
  edgeCases({
    modules: async () => (await bundle("tests/workerd/edge/redis.ts")).parts,
    flags: FLAGS.tcp,
    server: async () => server = await started(),
    url: ({ port }, password) => `redis://:${password}@127.0.0.1:${port}`,
    connections: () => connections(server),
  });
});
