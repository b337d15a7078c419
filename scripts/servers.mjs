/** `npm run servers`: gets the servers that tests run on, as `npm test` does before it begins, and names them. */
import { prepareServers, serverNames, serverOf } from "./lib/servers.mjs";

const missing = prepareServers();
for (const name of serverNames) {
  const why = missing.find((each) => each.name === name)?.why;
  console.log(`${name.padEnd(9)}${serverOf(name)?.title ?? `cannot be had here: ${why}`}`);
}
process.exit(missing.length > 0 ? 1 : 0);
