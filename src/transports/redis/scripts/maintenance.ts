/**
 * Maintenance of a queue from time to time: jobs of lost leases are reclaimed, consumers of clients that are gone are
 * deleted, due times are mended. Each in bounded pages; `next` says when it is needed again, or which due time is over
 * of a job that no worker has reserved.
 *
 * @module
 */

import { BACK, FOREIGN_LEASE, FREE, LOST } from "./lua.ts";

/** Jobs that are reclaimed at once. */
const SWEEP = 1_000;
/** Leases whose ends are read one by one. */
const EXACT = 512;
/** Delayed jobs without a due time that are put off anew at once. */
const MENDED = 500;
/** Bytes of payloads that are put off anew at once. */
const PAGE_BYTES = 8 * 1024 * 1024;
/** Milliseconds after which leases that were left alone are checked again. */
const AGAIN = 20;
/** A queue with more leases than can be read gets maintenance this often in the time of one. */
const LOOKS = 10;

/** Words for scripts that reserve. */
export const TEND: string = `
-- The client whose leases are left alone, if there is one.
local spared

-- Where due times were deleted, the stream has delayed jobs that nothing else would ever find: they are put off anew.
-- Answers whether there may be more of them.
local function mend(base)
  local stream = base .. DELAYED
  local missing = call('XLEN', stream) - call('ZCARD', base .. DUE)
  if missing <= 0 then return false end
  local summary = redis.pcall('XPENDING', stream, GROUP)
  for _, consumer in ipairs(not summary.err and summary[4] or {}) do
    if consumer[1] ~= '${FREE}' then missing = missing - tonumber(consumer[2]) end
  end
  if missing <= 0 then return false end
  call('HLEN', base .. IDS)
  local from, bytes, looks = '-', 0, 0
  local gone, places = {}, {}
  while #gone < math.min(missing, ${MENDED}) and bytes < ${PAGE_BYTES} and looks < 2 * ${MENDED} do
    looks = looks + 1
    local entry = call('XRANGE', stream, from, '+', 'COUNT', 1)[1]
    if not entry then break end
    from = '(' .. entry[1]
    if not call('ZSCORE', base .. DUE, member(entry[1])) and not pendingOf(stream, entry[1]) then
      local job = read(entry, '')
      gone[#gone + 1] = entry[1]
      places[#places + 1] = job.id
      places[#places + 1] = defer(base, job.id, job.name, job.meta, job.body, job.due, job.reset)
      bytes = bytes + #job.payload
    end
  end
  each('HSET', base .. IDS, places)
  each('XDEL', stream, gone)
  return #gone > 0 and #gone < missing
end

local function lose(key, rows)
  local counts = {}
  local sorted = {}
  for _, row in ipairs(rows) do
    local list = sorted[row[4]]
    if not list then
      list = {}
      sorted[row[4]] = list
      counts[#counts + 1] = row[4]
    end
    list[#list + 1] = row[1]
  end
  for _, count in ipairs(counts) do
    claimFor(key, '${BACK}', sorted[count], 'RETRYCOUNT', text(count + ${LOST}))
  end
end

local function sweepStream(key, now, state)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, GROUP)
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    local name, pending, idle = consumer[2], consumer[4], consumer[6]
    local owner, lease = ownerOf(name)
    local own = name == '${FREE}' or name == '${BACK}'
    local ours = lease or own
    lease = lease or ${FOREIGN_LEASE}
    if pending == 0 then
      if ours and idle >= lease then call('XGROUP', 'DELCONSUMER', key, GROUP, name) end
    elseif not own then
      local ends = now
      local most = state.left
      if spared and owner == spared then ends = now + ${AGAIN}
      elseif most > 0 then
        local rows = call('XPENDING', key, GROUP, 'IDLE', lease, '-', '+', most, name)
        lose(key, rows)
        state.left = most - #rows
        state.lost = state.lost + #rows
        pending = pending - #rows
        if state.left == 0 and pending > 0 then
          -- There may be more of them: the next poll goes on.
          ends = now
        elseif pending > state.exact then
          ends = now + math.max(20, math.floor(lease / ${LOOKS}))
        else
          state.exact = state.exact - pending
          ends = nil
          for _, row in ipairs(pending > 0 and call('XPENDING', key, GROUP, '-', '+', pending, name) or {}) do
            local till = now + math.max(1, lease - row[3])
            if not ends or till < ends then ends = till end
          end
        end
      end
      if ends and (not state.earliest or ends < state.earliest) then state.earliest = ends end
    end
  end
end

local function sweep(base, now)
  local state = { left = ${SWEEP}, exact = ${EXACT}, lost = 0 }
  sweepStream(base .. WAITING, now, state)
  sweepStream(base .. DELAYED, now, state)
  -- The client that polls now may have no slot for the jobs that came back.
  if state.lost > 0 then ring(base, state.lost - 1, now) end
  return state.earliest
end

-- Answers when the queue needs maintenance next, and the earliest due time.
local function tend(base, now)
  local torn = mend(base)
  local ends = tonumber(call('GET', base .. LEASES) or nil)
  if not ends or ends <= now then
    ends = sweep(base, now)
    if ends then call('SET', base .. LEASES, text(ends)) else call('DEL', base .. LEASES) end
    call('ZREMRANGEBYSCORE', base .. WAITERS, '-inf', text(now))
  end
  local first = tonumber(call('ZRANGE', base .. DUE, 0, 0, 'WITHSCORES')[2] or nil)
  local next = torn and now or first
  if ends and (not next or ends < next) then next = ends end
  if next then call('SET', base .. NEXT, text(next)) else call('DEL', base .. NEXT) end
  return next, first
end
`;
