/**
 * Jobs out: those that came back from lost leases as far as there are slots, then the others by due time: released and
 * fresh entries of the waiting stream, which are due at the time in their numbers, merged with entries of the stream of
 * delayed jobs that fell due. There an entry is claimed where it is (`XCLAIM ... FORCE`), and never read by the group.
 *
 * KEYS: bases of queues. ARGV: instance, lease, limit, slots, milliseconds for which to be registered among the waiting
 * clients (0: not at all), consumer, `1` where it is to be asked first whether the user may, and when the poll was
 * issued, or an empty text. Answers, packed, the time; sections of `{key, late, counts, entries}` (late: 1 for entries
 * of the stream of delayed jobs, else 0; counts of deliveries before, one for each entry, or 0 for fresh ones); where
 * there are none the state of each queue: `{next, seen}`; last why a queue cannot be used, or an empty text: then what
 * was taken was given back already, and sections are those of which that was refused, too. Where payloads are large the
 * answer is a list, and they follow behind the packed text, which has their numbers instead of them.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { BACK, FREE, LOST, PROBE, script } from "./lua.ts";
import { TEND } from "./maintenance.ts";
import { RELEASE } from "./release.ts";

/** Bytes of payloads after which an answer is long enough. */
const ENOUGH = 8 * 1024 * 1024;
/**
 * Bytes from which on a payload is answered beside the packed text, and how many are at most: Lua unpacks 8,000 values.
 */
const HEAVY = 2 * 1024;
const MAX_HEAVY = 1_000;
/** Jobs that are read before it is known how large they are. */
const FIRST_PAGE = 2;
/** How many times as many may be read next, as those behind them may be larger. */
const GROWTH = 8;
/** Entries of one command at most. */
const PAGE = 1_000;

/** The part of a lease by which a poll must be late to spare the leases of its own process. */
const LATE = 3;

/** Makes the script. */
export function reserveScript(naming: Naming): Script {
  return script(naming, "reserve", ["allow-oom"], PROBE, TEND, RELEASE, BODY);
}

const BODY = `
local now = clock()
local instance = ARGV[1]
local lease = tonumber(ARGV[2])
local limit = tonumber(ARGV[3])
local slots = tonumber(ARGV[4])
local register = tonumber(ARGV[5])
local consumer = ARGV[6]
-- A job that is reserved must be settled, too.
if ARGV[7] == '1' then probe(KEYS[1], true) end
-- A poll that its process sent late, as its thread was away, must not reclaim leases that it had no turn to extend.
if ARGV[8] ~= '' and now - tonumber(ARGV[8]) > lease / ${LATE} then spared = instance end
local taken = 0
local bytes = 0
local sections = {}
-- Payloads that are answered beside the packed rest, which would copy them several times.
local heavy = {}

local function room()
  if bytes > ${ENOUGH} then return 0 end
  local left = limit - taken
  if taken == 0 then return math.min(left, ${FIRST_PAGE}) end
  local fitting = math.ceil((${ENOUGH} - bytes) * taken / math.max(bytes, 1))
  return math.min(left, ${GROWTH} * taken, math.max(1, fitting))
end

local function hand(key, counts, entries, late)
  sections[#sections + 1] = { key, late, counts, entries }
  taken = taken + #entries
  for n = 1, #entries do
    local fields = entries[n][2]
    if fields[3] == 'payload' then
      local size = #fields[4]
      bytes = bytes + 64 + #fields[2] + size
      if size > ${HEAVY} and #heavy < ${MAX_HEAVY} then
        heavy[#heavy + 1] = fields[4]
        fields[4] = #heavy
      end
    else
      -- Other programs write their fields in whatever order.
      for part = 1, #fields do bytes = bytes + #fields[part] end
      bytes = bytes + 64
    end
  end
end

-- Entries that a consumer without a client holds, up to a number.
local function claim(key, stream, late, from, most, to)
  local handed = 0
  while most > 0 do
    local page = math.min(room(), most, ${PAGE})
    if page == 0 then break end
    local rows = redis.pcall('XPENDING', stream, GROUP, '-', to, page, from)
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
    if #entries > 0 then hand(key, counts, entries, late) end
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
    hand(key, 0, entries, 0)
    if #entries < page then return end
    page = room()
  end
end

-- The last entry that the group has read.
local function placeOf(stream)
  for _, group in ipairs(call('XINFO', 'GROUPS', stream)) do
    if group[2] == GROUP then return group[8] end
  end
  return '0-0'
end

-- Fresh entries up to a number.
local function freshTo(key, stream, to)
  local page = math.min(room(), ${PAGE})
  while page > 0 do
    local count = #call('XRANGE', stream, '(' .. placeOf(stream), to, 'COUNT', page)
    if count == 0 then return end
    local answer = call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', count, 'STREAMS', stream, '>')
    hand(key, 0, answer[1][2], 0)
    page = math.min(room(), ${PAGE})
  end
end

-- The due time of the first entry of the stream that no client has reserved.
local function headOf(stream)
  local row = call('XPENDING', stream, GROUP, '-', '+', 1, '${FREE}')[1]
  local entry = call('XRANGE', stream, '(' .. placeOf(stream), '+', 'COUNT', 1)[1]
  local released, unread = row and millis(row[1]), entry and millis(entry[1])
  return released and unread and math.min(released, unread) or released or unread or now
end

local function openLate(later)
  local known = redis.pcall('XPENDING', later, GROUP, '-', '+', 1, '${FREE}')
  if not known.err then return #known > 0 end
  if string.sub(known.err, 1, 7) ~= 'NOGROUP' then error(known) end
  call('XGROUP', 'CREATE', later, GROUP, '0')
  return false
end

-- Jobs that fell due by then, each where it is.
local function claimDue(key, base, later, till)
  local page = math.min(room(), ${PAGE})
  while page > 0 do
    local ids = call('ZRANGE', base .. DUE, '-inf', text(till), 'BYSCORE', 'LIMIT', 0, page)
    if #ids == 0 then return end
    local released = openLate(later)
    local before = {}
    for _, id in ipairs(released and ids or {}) do
      local row = pendingOf(later, id)
      if row then before[row[1]] = row[4] end
    end
    ids[#ids + 1] = 'FORCE'
    local entries = call('XCLAIM', later, GROUP, consumer, 0, unpack(ids))
    ids[#ids] = nil
    local counts = {}
    for n, entry in ipairs(entries) do counts[n] = before[entry[1]] or 1 end
    if #entries > 0 then hand(key, counts, entries, 1) end
    -- Behind that, so that jobs which cannot be taken stay due.
    each('ZREM', base .. DUE, ids)
    page = math.min(room(), ${PAGE})
  end
end

-- Of equal due times that of a delayed job was dispatched first.
local function merge(key, base, stream, later)
  while room() > 0 do
    local due = tonumber(call('ZRANGE', base .. DUE, 0, 0, 'WITHSCORES')[2] or nil)
    if not due or due > now then
      claim(key, stream, 0, '${FREE}', limit, '+')
      return fresh(key, stream)
    end
    local to = due > 0 and text(due - 1) or '0-0'
    claim(key, stream, 0, '${FREE}', limit, to)
    freshTo(key, stream, to)
    if room() > 0 then claimDue(key, base, later, math.min(now, headOf(stream))) end
  end
end

local function open(stream, fault)
  if not fault then return end
  if string.sub(fault.err, 1, 7) ~= 'NOGROUP' then error(fault) end
  call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
end

local function take(key, base, ripe)
  local stream, later = base .. WAITING, base .. DELAYED
  local there = call('EXISTS', stream, later)
  if there == 0 then return end
  if ripe then
    local summary = redis.pcall('XPENDING', stream, GROUP)
    open(stream, summary.err and summary)
  end
  local handed, fault = claim(key, stream, 0, '${BACK}', slots, '+')
  slots = slots - handed
  if there == 2 then slots = slots - claim(key, later, 1, '${BACK}', slots, '+') end
  if ripe then return merge(key, base, stream, later) end
  if not fault then handed, fault = claim(key, stream, 0, '${FREE}', limit, '+') end
  open(stream, fault)
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
  local due
  if next and next <= now then next, due = tend(base, now) end
  nexts[key] = next
  local ends = tonumber(nexts[#KEYS + key] or nil)
  local before = taken
  take(key, base, due and due <= now)
  if taken > before and not (ends and now < ends and ends <= now + lease and next and next <= ends) then
    lend(base, now + lease)
  end
end

local function answer(quiet, fault)
  local packed = cmsgpack.pack({ now, sections, quiet, fault })
  if #heavy == 0 then return packed end
  return { packed, unpack(heavy) }
end

local fault
for key, base in ipairs(KEYS) do
  if room() == 0 then break end
  local well, thrown = pcall(serve, key, base)
  if not well then fault = fault or thrown end
end

-- A queue whose instants are lost would get no maintenance, nor would leases of other clients.
local function isForgotten(base, next, ends, pending)
  if pending > 0 then return not next or not ends end
  return not next and (call('EXISTS', base .. DUE) == 1 or call('XLEN', base .. DELAYED) > 0)
end

local quiet = {}
local function look(key, base)
  local next = nexts[key]
  local seen, pending = '0-0', 0
  local groups = redis.pcall('XINFO', 'GROUPS', base .. WAITING)
  for _, group in ipairs(groups.err and {} or groups) do
    if group[2] == GROUP then seen, pending = group[8], group[6] end
  end
  if isForgotten(base, next, nexts[#KEYS + key], pending) then
    local due
    next, due = tend(base, now)
    take(key, base, due and due <= now)
  end
  if register > 0 then call('ZADD', base .. WAITERS, text(now + register), instance) end
  quiet[key] = { next or 0, seen }
end

if taken == 0 and not fault then
  for key, base in ipairs(KEYS) do
    local well, thrown = pcall(look, key, base)
    if not well then fault = fault or thrown end
  end
end

-- What was taken goes back at once where a queue cannot be used: the leases would run out otherwise, as a client that
-- may not do all that a reserve does may not settle either.
local function giveBack(base, late, counts, entries)
  local released, back = {}, {}
  for n, entry in ipairs(entries) do
    local list = counts ~= 0 and counts[n] + 1 >= ${LOST} and back or released
    list[#list + 1] = entry[1]
  end
  release(base, late, released, back)
  pcall(lower, base, now)
  pcall(ring, base, #entries, now)
end

if fault then
  local kept = {}
  for _, section in ipairs(sections) do
    local key, late, counts, entries = unpack(section)
    if not pcall(giveBack, KEYS[key], late == 1, counts, entries) then kept[#kept + 1] = section end
  end
  sections = kept
  return answer({}, why(fault))
end
return answer(taken == 0 and quiet or {}, '')
`;
