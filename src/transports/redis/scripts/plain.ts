/**
 * Plain jobs in: all of one queue that is no topic's, to run at once, with generated ids, as most jobs are. It stores
 * them as `push.ts` does, without the words and tables that only other jobs need. A run of jobs whose ids ascend is one
 * member of `ranges`, and none of them is in `ids`.
 *
 * KEYS: the base of the queue. ARGV: the instance that polls for them anyway, or nothing; then an empty text, the heads'
 * field, and head and payload of each job as arguments of their own; or one list of heads and payloads, the field, and
 * of each run how many jobs it has, its first and its last id, or two empty texts where `ids` is to have them. Answers
 * whether the queue is new, or why it cannot be used.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { COVERED_BY, ID_IN, PROBE, shortcutScript } from "./lua.ts";

/** Ranges of which it is seen, with each run, whether all of their jobs are gone. */
const SWEPT = 2;
/** Ranges that are left alone while there are no more. */
const KEPT = 8;

/** Makes the script. */
export function plainScript(naming: Naming): Script {
  return shortcutScript(naming, "push", [], LONE, PROBE, BODY);
}

/**
 * A lone job of a queue that is there and that no client waits for. All else is left to the rest, above all what is
 * refused: nothing is written before that is known.
 */
const LONE = `
if #ARGV == 5 and ARGV[2] == '' then
  local ids, ask, head = KEYS[1] .. IDS, redis.pcall, ARGV[4]
  if ask('ZCARD', KEYS[1] .. WAITERS) == 0 and type(ask('HLEN', ids)) == 'number' then
    local place = ask('XADD', KEYS[1] .. WAITING, 'NOMKSTREAM', '*', ARGV[3], head, 'payload', ARGV[5])
    if type(place) == 'string' then
      redis.call('HSET', ids, ${ID_IN}, place)
      return 0
    end
  end
end
`;

/** Functions for lists, which a lone job does without: a server makes each anew for each call. */
const RUNS = `
-- Of any two ranges those whose jobs are gone: with each run, so that as many of the others stay at most.
local function sweepRanges(ranges, stream, place, size)
  if size <= ${KEPT} then return end
  local at = tonumber(string.match(place, '^%d+')) % size
  for _, range in ipairs(call('ZRANGE', ranges, at, at + ${SWEPT} - 1)) do
    local from, to = string.match(range, '(%S+) (%S+)$')
    if #call('XRANGE', stream, from, to, 'COUNT', 1) == 0 then call('ZREM', ranges, range) end
  end
end

-- Adds jobs of a list up to a position, and the run as one range.
local function addRun(base, field, jobs, n, to, first, last)
  local stream, from, place = base .. WAITING, nil, nil
  for n = n, to, 2 do
    place = call('XADD', stream, '*', field, jobs[n], 'payload', jobs[n + 1])
    from = from or place
  end
  local ranges = base .. RANGES
  call('ZADD', ranges, 0, first .. ' ' .. last .. ' ' .. from .. ' ' .. place)
  sweepRanges(ranges, stream, place, call('ZCARD', ranges))
end

-- Adds runs of a list; answers how many jobs there are.
local function addRuns(base, field, jobs, add)
  local n, covered = 1, 0
  for run = 4, #ARGV, 3 do
    local size = tonumber(ARGV[run])
    local to = n + 2 * size - 2
    if ARGV[run + 1] == '' then
      for each = n, to, 2 do add(jobs[each], jobs[each + 1]) end
    else
      addRun(base, field, jobs, n, to, ARGV[run + 1], ARGV[run + 2])
      covered = covered + size
    end
    n = to + 2
  end
  return covered
end
`;

const BODY = `
local base, field = KEYS[1], ARGV[3]
local stream, ids = base .. WAITING, base .. IDS
-- A key of another type refuses the batch before its first write.
local length, index, waiting = redis.pcall('XLEN', stream), redis.pcall('HLEN', ids), redis.pcall('ZCARD', base .. WAITERS)
if type(length) == 'table' then return why(length) end
if type(index) == 'table' then return why(index) end
if type(waiting) == 'table' then return why(waiting) end
local jobs, count = {}, 1
if ARGV[2] ~= '' then
  jobs = cmsgpack.unpack(ARGV[2])
  count = #jobs / 2
  for _, size in ipairs({ redis.pcall('ZCARD', base .. RANGES), redis.pcall('STRLEN', base .. COVERED) }) do
    if type(size) == 'table' then return why(size) end
  end
end
local fresh = length == 0 and begin(base)
if count == 1 and ARGV[2] == '' and #ARGV == 5 then
  local head = ARGV[4]
  local place = call('XADD', stream, '*', field, head, 'payload', ARGV[5])
  call('HSET', ids, ${ID_IN}, place)
else
  ${RUNS}
  local places, size = {}, 0
  local function add(head, payload)
    places[size + 1] = ${ID_IN}
    places[size + 2] = call('XADD', stream, '*', field, head, 'payload', payload)
    size = size + 2
  end
  if ARGV[2] == '' then
    count = (#ARGV - 3) / 2
    for n = 4, #ARGV, 2 do add(ARGV[n], ARGV[n + 1]) end
  else
    local covered = addRuns(base, ${COVERED_BY}, jobs, add)
    if covered > 0 then
      local before = length > 0 and tonumber(call('GET', base .. COVERED) or 0) or 0
      call('SET', base .. COVERED, text(before + covered))
    end
  end
  each('HSET', ids, places)
end
if waiting > 0 then ring(base, count, clock(), ARGV[1]) end
return fresh and 1 or 0
`;
