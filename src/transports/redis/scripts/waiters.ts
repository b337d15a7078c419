/**
 * Clients that wait for a job: their registrations, and the consumers that they leave behind.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { script } from "./lua.ts";

/** The scripts of a client beside those for its jobs. */
export type PresenceScripts = Readonly<Record<"renew" | "unregister" | "pass" | "leave" | "clock", Script>>;

/** Makes the scripts. */
export function presenceScripts(naming: Naming): PresenceScripts {
  const made = (name: string, body: string): Script => script(naming, name, ["allow-oom"], body);
  return {
    renew: made("renew", RENEW),
    unregister: made("unregister", UNREGISTER),
    pass: made("pass", PASS),
    leave: made("leave", LEAVE),
    clock: made("clock", CLOCK),
  };
}

/** Registers a client: KEYS bases, ARGV the instance and for how many milliseconds. */
const RENEW = `
local till = text(clock() + ARGV[2])
for _, base in ipairs(KEYS) do call('ZADD', base .. WAITERS, till, ARGV[1]) end
return 1
`;

/** Removes a client from those that wait: KEYS bases, ARGV the instance. */
const UNREGISTER = `
for _, base in ipairs(KEYS) do call('ZREM', base .. WAITERS, ARGV[1]) end
return 1
`;

/** Notifies a client: KEYS the base. */
const PASS = `
ring(KEYS[1], 0, clock())
return 1
`;

/** Removes a client's consumers that hold nothing: KEYS bases, ARGV the instance. */
const LEAVE = `
local start = ARGV[1] .. '.'
for _, base in ipairs(KEYS) do
  call('ZREM', base .. WAITERS, ARGV[1])
  for _, part in ipairs({ WAITING, DELAYED }) do
    local consumers = redis.pcall('XINFO', 'CONSUMERS', base .. part, GROUP)
    for _, consumer in ipairs(consumers.err and {} or consumers) do
      if consumer[4] == 0 and string.sub(consumer[2], 1, #start) == start then
        call('XGROUP', 'DELCONSUMER', base .. part, GROUP, consumer[2])
      end
    end
  end
end
return 1
`;

/** The server's clock: KEYS a base. Not of the scripts that only read, so that a replica refuses it. */
const CLOCK = "return clock()";
