/**
 * Plain jobs in: all of one queue that is no topic's, to run at once, with generated ids, as most jobs are. It stores
 * them as `push.ts` does, without the words and tables that only other jobs need.
 *
 * KEYS: the base of the queue. ARGV: the instance that polls for them anyway, or nothing; then either one list of jobs
 * `id, name, meta, payload`, or the same four of each job as arguments of their own. Answers whether the queue is new,
 * or why it cannot be used.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { PROBE, script } from "./lua.ts";

/** Makes the script. */
export function plainScript(naming: Naming): Script {
  return script(naming, "push", [], PROBE, BODY);
}

const BODY = `
local base = KEYS[1]
local stream, ids = base .. WAITING, base .. IDS
-- A key of another type refuses the batch before its first write.
local length, index, waiting = redis.pcall('XLEN', stream), redis.pcall('HLEN', ids), redis.pcall('ZCARD', base .. WAITERS)
if type(length) == 'table' then return why(length) end
if type(index) == 'table' then return why(index) end
if type(waiting) == 'table' then return why(waiting) end
local fresh = length == 0 and begin(base)
local jobs, first = ARGV, 2
if #ARGV == 2 then jobs, first = cmsgpack.unpack(ARGV[2]), 1 end
local count = (#jobs - first + 1) / 4
if count == 1 then
  local place = call('XADD', stream, '*', 'id', jobs[first], 'name', jobs[first + 1], 'meta', jobs[first + 2],
    'payload', jobs[first + 3])
  call('HSET', ids, jobs[first], place)
else
  local places, size = {}, 0
  for n = first, #jobs, 4 do
    places[size + 1] = jobs[n]
    places[size + 2] = call('XADD', stream, '*', 'id', jobs[n], 'name', jobs[n + 1], 'meta', jobs[n + 2],
      'payload', jobs[n + 3])
    size = size + 2
  end
  each('HSET', ids, places)
end
if waiting > 0 then ring(base, count, clock(), ARGV[1]) end
return fresh and 1 or 0
`;
