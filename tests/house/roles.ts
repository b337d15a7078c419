/**
 * The roles of a transport's files: one role has one name in every transport. A part of a role that has a file of its
 * own begins with the role's name (`push_atomic`). docs/architecture.md says the meaning of each.
 */
export const roles: readonly string[] = [
  "mod",
  "options",
  "errors",
  "context",
  "calls",
  "push",
  "reserve",
  "settle",
  "extend",
  "waiters",
  "maintenance",
  "topics",
  "schedules",
  "transactions",
  "diagnose",
  "inspect",
  "admin",
];

/** Files and folders of a transport that are no role, each with the reason. A folder's files have names of their own. */
export const extras: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    clock: "due times, leases and windows by the process's monotonic clock",
    "queue/": "one queue as structures: no store keeps them for this transport",
  },
  sqlite: {
    "engine/": "the connection, its transactions and its disk, which another SQL store would have of its own",
    "model/": "tables, states and their order, which another SQL store could share",
  },
  redis: {
    model: "every verb as a script, without waiting: what the tests of the scripts call",
    "client/": "connections, to one server or to a Cluster",
    "layout/": "names of keys, entries of streams, tokens, packed values",
    "scripts/": "the Lua of each role, under the role's name; `lua`, `plain` and `spread` are shared",
  },
  nats: {
    "client/": "connections, and requests with their answers",
    "stream/": "streams, subjects, consumers and messages",
  },
};

/** Whether a path within a transport's folder names a role, a part of one, or an extra room. */
export function isNamed(transport: string, path: string): boolean {
  const [head = "", ...rest] = path.split("/");
  const known = extras[transport] ?? {};
  if (rest.length > 0) return `${head}/` in known;
  const name = head.replace(/\.ts$/, "");
  return name in known || roles.some((role) => name === role || name.startsWith(`${role}_`));
}
