/**
 * Plain jobs of many queues in: none of them is a topic's, has options, or is to be stored with all others or not at
 * all. A queue costs three commands with its first job, where `push.ts` needs seven.
 *
 * KEYS: bases of queues. ARGV: the instance that polls for them anyway, or nothing; one list of how many jobs each queue
 * has (a number: as many each), of head and payload of each job, a queue's together, in the order of the queues, and of
 * each queue's heads' field (a text: the same each).
 * Answers as `push.ts` does.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { ID_IN, PROBE, script } from "./lua.ts";

/** Makes the script. */
export function spreadScript(naming: Naming): Script {
  return script(naming, "push", [], PROBE, BODY);
}

/**
 * Most often no client waits for any of the queues, and none need be asked for. `addFirst` adds the first job of a queue,
 * and answers its place, or why the queue cannot be used: then nothing was written; `addRest` adds those behind it.
 */
const BODY = `
local sizes, jobs, heads = unpack(cmsgpack.unpack(ARGV[2]))
local waiters = {}
for key, base in ipairs(KEYS) do waiters[key] = base .. WAITERS end
local waited = redis.pcall('EXISTS', unpack(waiters)) ~= 0
local fresh, faults = {}, {}

local function addFirst(key, base, field, head, payload)
  local index = redis.pcall('HLEN', base .. IDS)
  if type(index) == 'table' then return index end
  local place = redis.pcall('XADD', base .. WAITING, 'NOMKSTREAM', '*', field, head, 'payload', payload)
  if place then return place end
  begin(base)
  fresh[#fresh + 1] = key
  fresh[#fresh + 1] = ''
  return call('XADD', base .. WAITING, '*', field, head, 'payload', payload)
end

local function idIn(head)
  return ${ID_IN}
end

local function addRest(base, field, from, to, first)
  local places, size = { idIn(jobs[from]), first }, 2
  for n = from + 2, to, 2 do
    places[size + 1] = idIn(jobs[n])
    places[size + 2] = call('XADD', base .. WAITING, '*', field, jobs[n], 'payload', jobs[n + 1])
    size = size + 2
  end
  each('HSET', base .. IDS, places)
end

local n = 1
for key, base in ipairs(KEYS) do
  local size = type(sizes) == 'number' and sizes or sizes[key]
  local field = type(heads) == 'string' and heads or heads[key]
  local waiting = waited and redis.pcall('ZCARD', waiters[key]) or 0
  local place = type(waiting) == 'table' and waiting or addFirst(key, base, field, jobs[n], jobs[n + 1])
  if type(place) == 'table' then
    faults[#faults + 1] = key
    faults[#faults + 1] = why(place)
  else
    if size == 1 then call('HSET', base .. IDS, idIn(jobs[n]), place)
    else addRest(base, field, n, n + 2 * size - 2, place) end
    if waiting > 0 then ring(base, size, clock(), ARGV[1]) end
  end
  n = n + 2 * size
end
return { {}, fresh, faults }
`;
