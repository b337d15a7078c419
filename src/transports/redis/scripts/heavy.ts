/**
 * Jobs with large payloads go past Lua, which would copy each payload several times: they are added with `XADD` and read
 * with `XREADGROUP` as plain commands, and these scripts do the rest, behind the one and before the other.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { BACK, FREE, script } from "./lua.ts";

/** Scripts for jobs with large payloads. */
export interface HeavyScripts {
  readonly noteHeavy: Script;
  readonly openHeavy: Script;
}

/** Makes the scripts. */
export function heavyScripts(naming: Naming): HeavyScripts {
  return {
    noteHeavy: script(naming, "push", [], NOTE),
    openHeavy: script(naming, "reserve", ["allow-oom"], OPEN),
  };
}

/**
 * Puts added jobs into the index of ids, and notifies: KEYS the queue's base; ARGV the instance that polls for them
 * anyway, or nothing; then id and entry of each job. A job that was done already stays out of the index: it was handed
 * over, and is not pending. Entries are not read for that, as their payloads would be copied.
 */
const NOTE = `
local base = KEYS[1]
local stream = base .. WAITING
local groups = redis.pcall('XINFO', 'GROUPS', stream)
local last = '0-0'
for _, group in ipairs(groups.err and {} or groups) do
  if group[2] == GROUP then last = group[8] end
end

local places = {}
for n = 2, #ARGV, 2 do
  -- Where it may not be asked which jobs are done, none is put there.
  if not groups.err and (isEarlier(last, ARGV[n + 1]) or pendingOf(stream, ARGV[n + 1])) then
    places[#places + 1] = ARGV[n]
    places[#places + 1] = ARGV[n + 1]
  end
end
each('HSET', base .. IDS, places)
ring(base, (#ARGV - 1) / 2, clock(), ARGV[1])
return 1
`;

/**
 * Whether nothing but fresh entries can be handed over: no job was released, came back, or fell due, and no maintenance
 * is due. Then the lease of those that are read next is noted. KEYS the queue's base; ARGV the lease. Answers the time,
 * negative where the whole script is needed.
 */
const OPEN = `
local now = clock()
local base = KEYS[1]
local stream, later = base .. WAITING, base .. DELAYED
local next = tonumber(call('GET', base .. NEXT) or nil)
if next and next <= now then return -now end
for _, consumer in ipairs({ '${FREE}', '${BACK}' }) do
  local rows = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1, consumer)
  if rows.err or #rows > 0 then return -now end
end
local rows = redis.pcall('XPENDING', later, GROUP, '-', '+', 1, '${BACK}')
if not rows.err and #rows > 0 then return -now end
lend(base, now + ARGV[1])
return now
`;
