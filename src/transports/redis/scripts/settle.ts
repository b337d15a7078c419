/**
 * Deliveries settled. A delivery is the current one while its entry is pending with its count of deliveries and with
 * its instance.
 *
 * KEYS: bases of queues. ARGV: one list of batches, each of one queue, and of one kind (1 for entries of the stream of
 * delayed jobs, 2 for entries of the other whose ids `ranges` covers, else 0):
 * `{key, queue, consumers, ranges, entries, counts, owners, ids, verbs, extras, kind, runs}`. Counts and owners may be
 * one number for all; ids are 0 where `ranges` covers them. Runs say how many entries follow one another in the stream
 * without another in between, and are 0 where they are short.
 * Answers for each batch the numbers of those that were stale, or why its queue cannot be used.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { LOST, PROBE, script } from "./lua.ts";
import { RELEASE } from "./release.ts";

/** The ways to settle a delivery, as numbers. */
export const VERBS = { done: 0, release: 1, again: 2, failed: 3, timeout: 4 } as const;

/** Where the entry and the id of a delivery are, as numbers. */
export const KINDS = { listed: 0, late: 1, covered: 2 } as const;

/** Entries of a run, in the mean, from which on it pays to ask whether the stream begins with it. */
export const LONG = 32;

/**
 * Tells current deliveries: all of a consumer's in one query, and one by one those that it did not show. A query that
 * brings much else besides is cut short.
 */
export const FENCE: string = `
-- Says of every delivery that it is current.
local ALL = setmetatable({}, { __index = function() return true end })

-- A number means a list of as many of it as are wanted.
local function spread(list, size)
  if type(list) ~= 'number' then return list end
  local all = {}
  for n = 1, size do all[n] = list end
  return all
end

local function same(rows, entries, counts)
  if #rows ~= #entries then return false end
  local one = type(counts) == 'number' and counts
  for n = 1, #rows do
    local row = rows[n]
    if row[1] ~= entries[n] or row[4] ~= (one or counts[n]) then return false end
  end
  return true
end

local function current(stream, consumers, ranges, entries, counts, owners)
  local held = {}
  for _, range in ipairs(ranges) do
    local rows = redis.pcall('XPENDING', stream, GROUP, range[2], range[3], 2 * range[4] + 16,
      consumers[range[1]])
    if rows.err then
      if string.sub(rows.err, 1, 7) == 'NOGROUP' then return {} end
      error(rows)
    end
    -- One consumer's, in their order, and nothing in between: as most batches are.
    if range[4] == #entries and same(rows, entries, counts) then return ALL end
    local map = {}
    for _, row in ipairs(rows) do map[row[1]] = row[4] end
    held[range[1]] = map
  end
  counts, owners = spread(counts, #entries), spread(owners, #entries)
  local holds = {}
  for n, entry in ipairs(entries) do
    local map = held[owners[n]]
    if map and map[entry] == counts[n] then
      holds[n] = true
    else
      local rows = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
      if rows.err and string.sub(rows.err, 1, 7) ~= 'NOGROUP' then error(rows) end
      local row = rows[1]
      holds[n] = row ~= nil and row[4] == counts[n] and ownerOf(row[2]) == ownerOf(consumers[owners[n]])
    end
  end
  return holds
end
`;

/** Makes the script. */
export function settleScript(naming: Naming): Script {
  return script(naming, "settle", ["allow-oom"], PROBE, FENCE, RELEASE, BODY);
}

const BODY = `
local now = clock()

local function bury(base, verb, job, entry, count, extra)
  local channel = verb == ${VERBS.failed} and FAILED or TIMEOUT
  local lost = text(math.floor(count / ${LOST}))
  local place
  if job.body then
    place = call('XADD', base .. channel, '*', 'payload', job.body, 'original_id', entry, 'id', job.id,
      'name', job.name, 'meta', extra[1], 'reason', extra[2], 'error', extra[3], 'attempts', extra[4],
      'lost', lost, 'time', text(now))
  else
    place = call('XADD', base .. channel, '*', 'original_id', entry, 'id', job.id, 'name', job.name, 'meta',
      extra[1], 'reason', extra[2], 'error', extra[3], 'attempts', extra[4], 'lost', lost, 'time', text(now))
  end
  local places = call('HGET', base .. DEAD, job.id)
  place = (verb == ${VERBS.failed} and 'f' or 't') .. place
  call('HSET', base .. DEAD, job.id, places and places .. ' ' .. place or place)
end

local function again(base, job, extra)
  local due
  if extra[3] == 1 then due = extra[4] elseif extra[3] == 2 then due = now + extra[4] end
  local payload = job.body
  if extra[2] ~= 0 then payload = extra[2] end
  -- An instant that is over counts too: a job that was dispatched later comes later.
  if due then return defer(base, job.id, job.name, extra[1], payload, due), due end
  return store(base .. WAITING, job.id, job.name, extra[1], payload)
end

-- The id of an entry that another program removed from the stream may be another job's by now.
local function free(base, ids, entries, whole, late)
  if whole then return each('HDEL', base .. IDS, ids) end
  local gone = {}
  for _, entry in ipairs(entries) do gone[late and 'd' .. member(entry) or entry] = true end
  for _, id in ipairs(ids) do
    local place = call('HGET', base .. IDS, id)
    if place and gone[place] then call('HDEL', base .. IDS, id) end
  end
end

-- Whether a run of one consumer, with which the stream begins, could be cut off. It costs a server a tenth of what
-- deleting its entries does, for each of which the stream is searched.
local function cut(stream, first, last)
  local ms, seq = string.match(last, '^(%d+)-(%d+)$')
  local head = call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if #seq > 15 or not head or head[1] ~= first then return false end
  -- Where the rights of this user do not allow it, they are deleted one by one.
  return type(redis.pcall('XTRIM', stream, 'MINID', ms .. '-' .. text(seq + 1))) == 'number'
end

local function cutRuns(stream, entries, runs)
  local left, from = {}, 1
  for _, size in ipairs(runs) do
    local to = from + size - 1
    if size < ${LONG} or not cut(stream, entries[from], entries[to]) then
      for n = from, to do left[#left + 1] = entries[n] end
    end
    from = to + 1
  end
  return left
end

local function settle(batch)
  local base, queue = KEYS[batch[1]], batch[2]
  local late, covered = batch[11] == ${KINDS.late}, batch[11] == ${KINDS.covered}
  local stream = base .. (late and DELAYED or WAITING)
  local entries, counts, ids, verbs = batch[5], batch[6], batch[8], batch[9]
  local holds = current(stream, batch[3], batch[4], entries, counts, batch[7])
  -- The rights of a user may change while it works: half a settlement would be of a job that nothing finds.
  if verbs ~= 0 then
    probe(base, true)
    counts = spread(counts, #entries)
    for _, part in ipairs({ DELAYED, FAILED, TIMEOUT }) do call('XLEN', base .. part) end
    for _, part in ipairs({ DUE, WAITERS }) do call('ZCARD', base .. part) end
    call('HLEN', base .. DEAD)
    call('STRLEN', base .. NEXT)
  else
    allow({
      { 'XACK', stream, GROUP, '0-0' }, { 'XDEL', stream, '0-0' }, { 'XLEN', stream }, { 'HDEL', base .. IDS, '' },
      { 'HGET', base .. IDS, '' }, { 'DEL', base .. RANGES, base .. COVERED }, { 'GET', base .. COVERED },
      { 'SET', base .. COVERED, '0' },
    })
  end
  call('HLEN', base .. IDS)
  if covered then
    call('ZCARD', base .. RANGES)
    call('STRLEN', base .. COVERED)
  end
  local stale, gone, freed, released, back, moved = {}, {}, {}, {}, {}, {}
  local ready, earliest = 0, nil
  local runs = 0
  if holds == ALL and verbs == 0 then
    gone, entries, runs = entries, {}, batch[12]
    if not covered then freed = ids end
  end
  for n, entry in ipairs(entries) do
    local verb = verbs == 0 and 0 or verbs[n]
    if not holds[n] then
      stale[#stale + 1] = n
    elseif verb == ${VERBS.done} then
      gone[#gone + 1] = entry
      if not covered then freed[#freed + 1] = ids[n] end
    elseif verb == ${VERBS.release} then
      if counts[n] < ${LOST} then released[#released + 1] = entry else back[#back + 1] = entry end
      ready = ready + 1
    else
      local kept = call('XRANGE', stream, entry, entry)[1]
      gone[#gone + 1] = entry
      if not kept then
        stale[#stale + 1] = n
        if not covered then freed[#freed + 1] = ids[n] end
      elseif verb == ${VERBS.again} then
        local job = read(kept, queue)
        local place, due = again(base, job, batch[10][n])
        moved[#moved + 1] = job.id
        moved[#moved + 1] = place
        if not due or due <= now then ready = ready + 1 end
        if due and (not earliest or due < earliest) then earliest = due end
      else
        local job = read(kept, queue)
        bury(base, verb, job, entry, counts[n], batch[10][n])
        if not covered then freed[#freed + 1] = job.id end
      end
    end
  end
  each('XACK', stream, gone, GROUP)
  local left = runs == 0 and gone or cutRuns(stream, gone, runs)
  local whole = each('XDEL', stream, left) == #left
  free(base, freed, gone, whole, late)
  if not late and #gone > 0 then uncover(base, covered and #gone or 0) end
  each('HSET', base .. IDS, moved)
  release(base, late, released, back)
  -- A job given back is no fresh entry: a client not notified, as those that were are dead, finds it by the time.
  if #released + #back > 0 then lower(base, now) end
  if ready > 0 then ring(base, ready, now) end
  if earliest and lower(base, earliest) then ring(base, 0, now) end
  return stale
end

local answers = {}
for n, batch in ipairs(cmsgpack.unpack(ARGV[1])) do
  local well, answer = pcall(settle, batch)
  answers[n] = well and answer or why(answer)
end
return answers
`;
