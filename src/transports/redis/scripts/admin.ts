/**
 * The operator's writes upon the jobs of a channel, a page at a time, up to the last job that was there at the start.
 *
 * KEYS: the base. ARGV: channel, where to go on (phase, place, due time) or three empty texts, the last at the start
 * (in the stream, among the delayed, the time) or three empty texts, and the selection: one list, of ids, or of
 * `{name, reason, before}` each of which may be absent; then `ids` or `filter`, and for a reload `1` for a full life.
 * Answers `{changed, taken, next, last}`, next absent at the end.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { BYTES, CHANNEL, LOOK } from "./inspect.ts";
import { BACK, script } from "./lua.ts";

/** Jobs that one script changes at most. */
const PAGE = 500;

const WALK = `
local now = clock()
local base = KEYS[1]
local stream, later = base .. WAITING, base .. DELAYED
local channel, phase, place, score = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local last = { ARGV[5], ARGV[6], ARGV[7] }
local chosen = cmsgpack.unpack(ARGV[8])
local byId = ARGV[9] == 'ids'
local dead = channel >= ${CHANNEL.failed}
local graves = base .. (channel == ${CHANNEL.failed} and FAILED or TIMEOUT)
local mark = channel == ${CHANNEL.failed} and 'f' or 't'
local changed, taken = 0, 0
local queue = ARGV[11]

local function newest(key)
  local entry = call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end

if last[1] == '' then
  last = { newest(dead and graves or stream), member(newest(base .. DELAYED)), text(now) }
end

local function fits(job)
  if chosen[1] and job.name ~= chosen[1] then return false end
  if chosen[2] and job.reason ~= chosen[2] then return false end
  if chosen[3] and not (dead and tonumber(job.time) and tonumber(job.time) < chosen[3]) then return false end
  return true
end

-- One of an id's dead jobs is gone now.
local function forget(id, entry)
  local left = {}
  for one in string.gmatch(call('HGET', base .. DEAD, id) or '', '%S+') do
    if one ~= mark .. entry then left[#left + 1] = one end
  end
  if #left == 0 then call('HDEL', base .. DEAD, id)
  else call('HSET', base .. DEAD, id, table.concat(left, ' ')) end
end

-- The entries of dead jobs with these ids, the oldest first.
local function gravesOf(ids)
  local entries = {}
  for _, id in ipairs(ids) do
    for one in string.gmatch(call('HGET', base .. DEAD, id) or '', '%S+') do
      if string.sub(one, 1, 1) == mark then entries[#entries + 1] = string.sub(one, 2) end
    end
  end
  table.sort(entries, isEarlier)
  return entries
end

local function eachGrave(visit)
  if byId then
    for _, place in ipairs(gravesOf(chosen)) do
      local entry = call('XRANGE', graves, place, place)[1]
      if entry then visit(read(entry, queue), entry[1]) end
    end
    return nil
  end
  local count = 0
  local stopped = scan('XRANGE', graves, behind(place), last[1], function(entry)
    local job = read(entry, queue)
    if fits(job) then
      visit(job, entry[1])
      count = count + 1
    end
    return count >= ${PAGE}
  end)
  return stopped and { 's', stopped, '0' }
end
`;

/** Makes the scripts. */
export function adminScripts(naming: Naming): Readonly<Record<"remove" | "reload", Script>> {
  return {
    remove: script(naming, "remove", ["allow-oom"], LOOK, WALK + REMOVE),
    reload: script(naming, "reload", [], LOOK, WALK + RELOAD),
  };
}

/** Removes jobs of any channel. */
const REMOVE = `
-- Entries that are to go, the ids of those that no range covers, and how many ranges cover.
local function none()
  return { entries = {}, ids = {}, covered = 0 }
end

local function add(going, entry, job)
  going.entries[#going.entries + 1] = entry
  if job.covered then going.covered = going.covered + 1
  else going.ids[#going.ids + 1] = job.id end
end

local function erase(key, going)
  each('XACK', key, going.entries, GROUP)
  changed = changed + each('XDEL', key, going.entries)
  each('HDEL', base .. IDS, going.ids)
  if #going.entries > 0 then uncover(base, going.covered) end
end

local function undo(going)
  each('ZREM', base .. DUE, going.entries)
  erase(later, going)
end

-- In which channel a job of the stream of delayed jobs is.
local function channelOf(place)
  local due = tonumber(call('ZSCORE', base .. DUE, place) or nil)
  if due then return due > now and ${CHANNEL.delayed} or ${CHANNEL.waiting} end
  return (stateOf(pendingOf(later, place), now))
end

local function removeIds()
  local going, delayed = none(), none()
  for _, id in ipairs(chosen) do
    local entry, place = findAny(base, id)
    if place then
      if channelOf(place) == channel then add(delayed, place, { id = id }) end
    elseif entry and stateOf(pendingOf(stream, entry[1]), now) == channel then
      add(going, entry[1], { id = id, covered = read(entry, queue).covered })
    end
  end
  erase(stream, going)
  undo(delayed)
end

local function removeWaiting()
  local going = none()
  local stopped = scan('XRANGE', stream, behind(place), last[1], function(entry, row)
    local job = read(entry, queue)
    if stateOf(row, now) == ${CHANNEL.waiting} and fits(job) then add(going, entry[1], job) end
    return #going.entries >= ${PAGE}
  end)
  erase(stream, going)
  if stopped then return { 's', stopped, '0' } end
  return { 'b', '', '0' }
end

-- Due by when it began and waiting, or not due then and delayed.
local function removeDelayed()
  local from = rank(base .. DUE, score, place)
  local going, bytes = none(), 0
  local pairs = call('ZRANGE', base .. DUE, from, from + ${PAGE} - 1, 'WITHSCORES')
  for n = 1, #pairs, 2 do
    if bytes > ${BYTES} then break end
    score, place = tonumber(pairs[n + 1]), pairs[n]
    if channel == ${CHANNEL.waiting} and score > tonumber(last[3]) then
      pairs, bytes = {}, 0
      break
    end
    local entry = place <= last[2] and call('XRANGE', base .. DELAYED, place, place)[1]
    local job = entry and read(entry, queue)
    bytes = bytes + (job and #job.payload or 0)
    if job and fits(job) then add(going, place, job) end
  end
  undo(going)
  if #pairs < 2 * ${PAGE} and bytes <= ${BYTES} then return nil end
  return { 'z', place, text(score) }
end

-- Pending entries of a stream: those that workers hold, or those that came back from lost leases.
local function removeHeld(key, consumer)
  local rows = pendingRows(key, behind(place), key == stream and last[1] or '+', ${PAGE}, consumer)
  local going, bytes = none(), 0
  for _, row in ipairs(rows) do
    if bytes > ${BYTES} then break end
    place = row[1]
    if consumer or not idle(row[2]) then
      local entry = call('XRANGE', key, row[1], row[1])[1]
      local job = entry and read(entry, queue)
      bytes = bytes + (job and #job.payload or 0)
      if job and fits(job) then add(going, row[1], job) end
    end
  end
  erase(key, going)
  if #rows < ${PAGE} and bytes <= ${BYTES} then return nil end
  return place
end

local function removeReserved()
  local key = phase == 'r' and later or stream
  local stopped = removeHeld(key)
  if stopped then return { phase == 'r' and 'r' or 's', stopped, '0' } end
  if key == stream then return { 'r', '', '0' } end
end

local function removeBack()
  local stopped = removeHeld(later, '${BACK}')
  if stopped then return { 'b', stopped, '0' } end
  return { 'z', '', '-1' }
end

local next
if dead then
  local entries = {}
  next = eachGrave(function(job, entry)
    entries[#entries + 1] = entry
    forget(job.id, entry)
  end)
  changed = each('XDEL', graves, entries)
elseif byId then removeIds()
elseif channel == ${CHANNEL.reserved} then next = removeReserved()
elseif channel == ${CHANNEL.delayed} then
  if phase == '' then score, place = now, '\\255' end
  next = removeDelayed()
elseif phase == 'z' then next = removeDelayed()
elseif phase == 'b' then next = removeBack()
else next = removeWaiting() end
return { changed, taken, next or 0, last }
`;

/** Returns dead jobs to work. */
const RELOAD = `
local reset = ARGV[10] == '1'
call('XLEN', stream)
for _, part in ipairs({ IDS, DEAD }) do call('HLEN', base .. part) end
call('ZCARD', base .. WAITERS)
local entries = {}
local next = eachGrave(function(job, entry)
  if find(base, job.id) then
    taken = taken + 1
    return
  end
  if changed == 0 then begin(base) end
  changed = changed + 1
  local place = store(stream, job.id, job.name, job.meta, job.body, reset and now, reset)
  call('HSET', base .. IDS, job.id, place)
  entries[#entries + 1] = entry
  forget(job.id, entry)
end)
each('XDEL', graves, entries)
if changed > 0 then ring(base, changed, now) end
return { changed, taken, next or 0, last }
`;
