/**
 * Jobs out: those that came back from lost leases as far as there are slots, those that were released, then fresh ones.
 *
 * KEYS: bases of queues. ARGV: instance, lease, limit, slots, milliseconds for which to be registered among those who
 * wait (0: not at all), consumer. Answers the time, sections of `{key, count, entries}` (count of deliveries before, one for each
 * entry, or 0 for fresh ones), and where there are none what is known of each queue: `{next, seen}`.
 *
 * @module
 */

import type { Naming } from "../keys.ts";
import type { Script } from "../link.ts";
import { BACK, FREE, script } from "./lua.ts";
import { TEND } from "./tend.ts";

/** Bytes of payloads after which an answer is long enough. */
const ENOUGH = 8 * 1024 * 1024;
/** Jobs that are read before it is known how large they are. */
const FIRST_PAGE = 2;
/** How many times as many may be read next, as those behind them may be larger. */
const GROWTH = 8;
/** Due jobs that are promoted at least, and at most. */
const PROMOTE = [200, 1_000] as const;

/** Makes the script. */
export function reserveScript(naming: Naming): Script {
  return script(naming, "reserve", ["allow-oom"], TEND, BODY);
}

const BODY = `
local now = clock()
local instance = ARGV[1]
local lease = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local slots = tonumber(ARGV[4])
local register = tonumber(ARGV[5])
local consumer = ARGV[6]
local taken = 0
local bytes = 0
local sections = {}

local function room()
  if bytes > ${ENOUGH} then return 0 end
  local left = limit - taken
  if taken == 0 then return math.min(left, ${FIRST_PAGE}) end
  local fitting = math.ceil((${ENOUGH} - bytes) * taken / math.max(bytes, 1))
  return math.min(left, ${GROWTH} * taken, math.max(1, fitting))
end

local function hand(key, counts, entries)
  sections[#sections + 1] = { key, counts, entries }
  taken = taken + #entries
  for n = 1, #entries do
    local fields = entries[n][2]
    bytes = bytes + 64 + #(fields[8] or fields[2] or '')
  end
end

local function claim(key, stream, from, most)
  local handed = 0
  while most > 0 do
    local page = math.min(room(), most, 1000)
    if page == 0 then break end
    local rows = redis.pcall('XPENDING', stream, GROUP, '-', '+', page, from)
    if rows.err then return handed, rows end
    if #rows == 0 then break end
    local ids = {}
    local before = {}
    for n, row in ipairs(rows) do
      ids[n] = row[1]
      before[row[1]] = row[4]
    end
    local entries = call('XCLAIM', stream, GROUP, consumer, 0, unpack(ids))
    local counts = {}
    for n, entry in ipairs(entries) do counts[n] = before[entry[1]] end
    if #entries > 0 then hand(key, counts, entries) end
    handed = handed + #entries
    most = most - #entries
  end
  return handed
end

local function fresh(key, stream)
  local page = room()
  while page > 0 do
    local answer = call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', page, 'STREAMS', stream, '>')
    if not answer then return end
    local entries = answer[1][2]
    hand(key, 0, entries)
    if #entries < page then return end
    page = room()
  end
end

local function take(key, base)
  local stream = base .. WAITING
  if call('EXISTS', stream) == 0 then return end
  local handed, fault = claim(key, stream, '${BACK}', slots)
  slots = slots - handed
  if not fault then handed, fault = claim(key, stream, '${FREE}', limit) end
  if fault then
    if string.sub(fault.err, 1, 7) ~= 'NOGROUP' then error(fault) end
    call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
  end
  fresh(key, stream)
end

local names = {}
for n, base in ipairs(KEYS) do
  names[n] = base .. NEXT
  names[#KEYS + n] = base .. LEASES
end
local nexts = call('MGET', unpack(names))
local function serve(key, base)
  local next = tonumber(nexts[key] or nil)
  if next and next <= now then
    next = tend(base, now, math.max(${PROMOTE[0]}, math.min(limit, ${PROMOTE[1]})))
  end
  nexts[key] = next
  local ends = tonumber(nexts[#KEYS + key] or nil)
  local before = taken
  take(key, base)
  if taken > before and not (ends and now < ends and ends <= now + lease and next and next <= ends) then
    lend(base, now + lease)
  end
end

-- A queue that cannot be used keeps nobody from the others, least of all from what was taken already.
local fault
for key, base in ipairs(KEYS) do
  if room() == 0 then break end
  local well, thrown = pcall(serve, key, base)
  if not well then fault = fault or thrown end
end
if taken == 0 and fault then return redis.error_reply(tostring(fault)) end

-- A queue whose instants are lost would be looked after by nobody, nor would leases that others took.
local function isForgotten(base, next, ends, pending)
  if pending > 0 then return not next or not ends end
  return not next and (call('EXISTS', base .. DUE) == 1 or call('XLEN', base .. DELAYED) > 0)
end

local quiet = {}
for key, base in ipairs(taken == 0 and KEYS or {}) do
  local next = nexts[key]
  local seen, pending = '0-0', 0
  local groups = redis.pcall('XINFO', 'GROUPS', base .. WAITING)
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == GROUP then seen, pending = group[8], group[6] end
  end
  if isForgotten(base, next, nexts[#KEYS + key], pending) then
    next = tend(base, now, ${PROMOTE[0]})
    take(key, base)
  end
  if register > 0 then call('ZADD', base .. WAITERS, text(now + register), instance) end
  quiet[key] = { next or 0, seen }
end
return cmsgpack.pack({ now, sections, taken == 0 and quiet or {} })
`;
