/**
 * The operator's reads. They write nothing; each page is of one moment.
 *
 * An entry is answered as `{channel, place, fields, lost, time, size}`; time is the end of a lease, else 0.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { BACK, FOREIGN_LEASE, FREE, LOST, script } from "./lua.ts";

/** Channels as numbers, in the order of a job's life. */
export const CHANNEL = { waiting: 0, delayed: 1, reserved: 2, failed: 3, timeout: 4 } as const;

/** Entries that one script reads at most, bytes of them after which it is content, and entries of its first page. */
const SCANNED = 2_000;
export const BYTES: number = 8 * 1024 * 1024;
const FIRST_LOOK = 16;

/** Words for scripts that show or choose entries. */
export const LOOK: string = `
local function idle(name)
  return name == '${FREE}' or name == '${BACK}'
end

-- Where an entry of the waiting stream is, how many of its leases were lost, and when its lease ends.
local function stateOf(row, now)
  if not row then return ${CHANNEL.waiting}, 0, 0 end
  local lost = math.floor(row[4] / ${LOST})
  if idle(row[2]) then return ${CHANNEL.waiting}, lost, 0 end
  local _, lease = ownerOf(row[2])
  return ${CHANNEL.reserved}, lost, now - row[3] + (lease or ${FOREIGN_LEASE})
end

-- Where a stretch of a stream begins: behind an entry, or at the stream's start.
local function behind(place)
  return place == '' and '-' or '(' .. place
end

-- The pending rows of a stretch, of one consumer or of all; none of a stream that no group reads.
local function pendingRows(stream, from, to, count, consumer)
  local rows
  if consumer then rows = redis.pcall('XPENDING', stream, GROUP, from, to, count, consumer)
  else rows = redis.pcall('XPENDING', stream, GROUP, from, to, count) end
  return rows.err and {} or rows
end

-- The same by entry, of all entries of a page.
local function pendingIn(stream, entries)
  local map = {}
  local from = entries[1][1]
  repeat
    local rows = pendingRows(stream, from, entries[#entries][1], 1000)
    for _, row in ipairs(rows) do
      map[row[1]] = row
      from = '(' .. row[1]
    end
  until #rows < 1000
  return map
end

-- Goes through a stream from behind an entry, in pages that grow while entries are small, until told to stop.
-- Answers where it stopped, or nothing at the end.
local function scan(verb, stream, from, to, visit)
  local page, seen, bytes = ${FIRST_LOOK}, 0, 0
  while seen < ${SCANNED} and bytes < ${BYTES} do
    local entries
    if verb == 'XRANGE' then entries = call('XRANGE', stream, from, to, 'COUNT', page)
    else entries = call('XREVRANGE', stream, from, to, 'COUNT', page) end
    if #entries == 0 then return nil end
    local pending = verb == 'XRANGE' and stream ~= KEYS[1] .. FAILED and stream ~= KEYS[1] .. TIMEOUT
      and pendingIn(stream, entries) or {}
    for _, entry in ipairs(entries) do
      if visit(entry, pending[entry[1]]) then return entry[1] end
      for n = 2, #entry[2], 2 do bytes = bytes + #entry[2][n] end
    end
    seen = seen + #entries
    from = '(' .. entries[#entries][1]
    if #entries < page then return nil end
    if bytes < ${BYTES} / 64 then page = math.min(2 * page, 512) end
  end
  return string.sub(from, 2)
end

-- As find, and where that finds nothing among the first entries of other programs, whose own ids no index has; they are
-- there where the streams have more entries than are indexed.
local function findAny(base, id)
  local entry, place = find(base, id)
  if entry then return entry, place end
  local stream = base .. WAITING
  local indexed = call('HLEN', base .. IDS) + tonumber(call('GET', base .. COVERED) or 0)
  if call('XLEN', stream) + call('XLEN', base .. DELAYED) <= indexed then return nil end
  local found
  scan('XRANGE', stream, '-', '+', function(each)
    if read(each, '').id == id then found = each end
    return found ~= nil
  end)
  return found
end

-- The rank of the first delayed job behind a due time and a member.
local function rank(key, score, place)
  local low, high = 0, call('ZCARD', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local pair = call('ZRANGE', key, middle, middle, 'WITHSCORES')
    local found = tonumber(pair[2])
    if found < score or (found == score and pair[1] <= place) then low = middle + 1 else high = middle end
  end
  return low
end
`;

const SHOW = `
local function show(channel, entry, lost, time, preview)
  local size = 0
  local fields = entry[2]
  for n = 1, #fields, 2 do
    if fields[n] == 'payload' then
      size = #fields[n + 1]
      if size > preview then fields[n + 1] = string.sub(fields[n + 1], 1, preview) end
    end
  end
  return { channel, entry[1], fields, lost, time, size }
end
`;

/** Makes the scripts. */
export function inspectScripts(naming: Naming): Readonly<Record<"info" | "get" | "list", Script>> {
  return {
    info: script(naming, "info", ["no-writes"], LOOK, INFO),
    get: script(naming, "get", ["no-writes"], LOOK, SHOW, GET),
    list: script(naming, "list", ["no-writes"], LOOK, SHOW, LIST),
  };
}

/** Counts of all channels: KEYS the base. Answers them, and the due time of the oldest waiting job or -1. */
const INFO = `
local now = clock()
local base = KEYS[1]
local stream, later = base .. WAITING, base .. DELAYED
local oldest = -1

local function older(entry)
  if not entry then return end
  local due = read(entry, '').due
  if oldest < 0 or due < oldest then oldest = due end
end

-- How many entries of a stream are reserved, and how many came back from lost leases.
local function tally(key)
  local reserved, back = 0, 0
  local summary = redis.pcall('XPENDING', key, GROUP)
  if summary.err then return 0, 0, false end
  for _, consumer in ipairs(summary[4] or {}) do
    if idle(consumer[1]) then
      local row = call('XPENDING', key, GROUP, '-', '+', 1, consumer[1])[1]
      if row then older(call('XRANGE', key, row[1], row[1])[1]) end
      if consumer[1] == '${BACK}' then back = tonumber(consumer[2]) end
    else
      reserved = reserved + tonumber(consumer[2])
    end
  end
  return reserved, back, true
end

local reserved, _, grouped = tally(stream)
local lent, back = tally(later)
if not grouped then older(call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]) end
for _, group in ipairs(grouped and call('XINFO', 'GROUPS', stream) or {}) do
  if group[2] == GROUP then older(call('XRANGE', stream, '(' .. group[8], '+', 'COUNT', 1)[1]) end
end
local due = call('ZCOUNT', base .. DUE, '-inf', text(now))
local first = call('ZRANGE', base .. DUE, 0, 0, 'WITHSCORES')
if due > 0 and (oldest < 0 or tonumber(first[2]) < oldest) then oldest = tonumber(first[2]) end
local waiting = math.max(0, call('XLEN', stream) - reserved) + due + back
return { waiting, call('ZCARD', base .. DUE) - due, reserved + lent, call('XLEN', base .. FAILED),
  call('XLEN', base .. TIMEOUT), waiting > 0 and oldest or -1, now }
`;

/**
 * The job of each id: KEYS the base, ARGV a list of ids. Answers packed entries, or false, of as many as it is content
 * with.
 */
const GET = `
local now = clock()
local base = KEYS[1]

local function dead(id)
  local places = {}
  for place in string.gmatch(call('HGET', base .. DEAD, id) or '', '%S+') do places[#places + 1] = place end
  for n = #places, 1, -1 do
    local failed = string.sub(places[n], 1, 1) == 'f'
    local place = string.sub(places[n], 2)
    local entry = call('XRANGE', base .. (failed and FAILED or TIMEOUT), place, place)[1]
    if entry then
      return show(failed and ${CHANNEL.failed} or ${CHANNEL.timeout}, entry, 0, 0, math.huge)
    end
  end
  return false
end

local function live(id)
  local entry, place = findAny(base, id)
  if not entry then return nil end
  local due = place and tonumber(call('ZSCORE', base .. DUE, place) or nil)
  if due then return show(due <= now and ${CHANNEL.waiting} or ${CHANNEL.delayed}, entry, 0, 0, math.huge) end
  local channel, lost, time = stateOf(pendingOf(base .. (place and DELAYED or WAITING), entry[1]), now)
  return show(channel, entry, lost, time, math.huge)
end

local answers = {}
local bytes = 0
for n, id in ipairs(cmsgpack.unpack(ARGV[1])) do
  local found = live(id) or dead(id)
  answers[n] = found
  bytes = bytes + (found and found[6] or 0)
  if bytes > ${BYTES} then break end
end
return cmsgpack.pack(answers)
`;

/**
 * A page of a listing: KEYS the base, ARGV channel, phase, cursor (place, due time), limit, preview. Answers packed
 * entries, each with its own cursor, and where the next page begins: phase, place, due time, or nothing at the end.
 */
const LIST = `
local now = clock()
local base = KEYS[1]
local stream, later = base .. WAITING, base .. DELAYED
local channel, phase, place, score = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local limit, preview = tonumber(ARGV[5]), tonumber(ARGV[6])
local shown = {}

local function put(phase, place, score, entry)
  shown[#shown + 1] = { phase, place, text(score), entry }
  return #shown >= limit
end

local bytes = 0

local function showEntry(key, phase, place, score, channel, lost, time)
  local entry = call('XRANGE', key, place, place)[1]
  if not entry then return false end
  bytes = bytes + #read(entry, '').payload
  return put(phase, place, score, show(channel, entry, lost, time, preview))
end

-- Pending entries of the channel, in the order of a stream. Answers where it stopped, or nothing at the end.
local function pending(key, mark, consumer)
  local rows = pendingRows(key, behind(place), '+', 500, consumer)
  for _, row in ipairs(rows) do
    place = row[1]
    local at, lost, time = stateOf(row, now)
    local full = at == channel and showEntry(key, mark, place, 0, at, lost, time)
    if full or bytes > ${BYTES} then return { mark, place, '0' } end
  end
  return #rows == 500 and { mark, place, '0' } or nil
end

-- Entries of the stream and jobs that fell due, by due time; of equal times that of the delayed one comes first. A
-- place is an entry of the stream, or a due time and its member.
local function waiting()
  local from, at
  if phase == 'z' then
    from, at = text(score), rank(base .. DUE, score, place)
  else
    from = behind(place)
    at = rank(base .. DUE, place == '' and -1 or millis(place), '\\255')
  end
  while bytes < ${BYTES} do
    local pair = call('ZRANGE', base .. DUE, at, at, 'WITHSCORES')
    local due = tonumber(pair[2] or nil)
    if due and due > now then due = nil end
    local stopped = scan('XRANGE', stream, from, not due and '+' or due > 0 and text(due - 1) or '0-0',
      function(entry, row)
        local channel, lost = stateOf(row, now)
        if channel == ${CHANNEL.waiting} then
          return put('s', entry[1], 0, show(channel, entry, lost, 0, preview))
        end
      end)
    if stopped then return { 's', stopped, '0' } end
    if not due then return nil end
    score, place = due, pair[1]
    if showEntry(later, 'z', place, due, ${CHANNEL.waiting}, 0, 0) then break end
    from, at = text(due), at + 1
  end
  return { 'z', place, text(score) }
end

local function delayed()
  local at = rank(base .. DUE, score, place)
  while bytes < ${BYTES} do
    local pair = call('ZRANGE', base .. DUE, at, at, 'WITHSCORES')
    local due = tonumber(pair[2] or nil)
    if not due then return nil end
    score, place = due, pair[1]
    if showEntry(later, 'z', place, due, channel, 0, 0) then break end
    at = at + 1
  end
  return { 'z', place, text(score) }
end

local function reserved()
  if phase ~= 'r' then
    local stopped = pending(stream, 's')
    if stopped then return stopped end
    place = ''
  end
  return pending(later, 'r')
end

local function dead()
  local key = base .. (channel == ${CHANNEL.failed} and FAILED or TIMEOUT)
  local stopped = scan('XREVRANGE', key, place == '' and '+' or '(' .. place, '-', function(entry)
    return put('s', entry[1], 0, show(channel, entry, 0, 0, preview))
  end)
  return stopped and { 's', stopped, '0' }
end

local next
if channel == ${CHANNEL.reserved} then next = reserved()
elseif channel >= ${CHANNEL.failed} then next = dead()
elseif channel == ${CHANNEL.delayed} then
  if phase == '' then score, place = now, '\\255' end
  next = delayed()
else
  if phase == '' or phase == 'b' then
    -- Delayed jobs that came back are in no order of due times: they are handed over first.
    next = pending(later, 'b', '${BACK}')
    if not next then phase, place = '', '' end
  end
  next = next or waiting()
end
return cmsgpack.pack({ shown, next or 0 })
`;
