/**
 * What a queue needs from time to time: due jobs to be promoted, lost leases to be taken back, consumers of clients
 * that are gone to be forgotten. Each in bounded pages; `next` says when it is needed again.
 *
 * @module
 */

import { BACK, FOREIGN_LEASE, FREE, LOST } from "./lua.ts";

/** Leases that are taken back at once. */
const SWEEP = 1_000;
/** Leases whose ends are looked at one by one. */
const EXACT = 512;
/** Delayed jobs without a due time that are put off anew at once. */
const MENDED = 500;
/** Bytes of payloads that are promoted at once. */
const PROMOTED = 8 * 1024 * 1024;
/** A queue with more leases than can be looked at is looked after this often in the time of one. */
const LOOKS = 10;

/** Words for scripts that reserve. */
export const TEND: string = `
local function promote(base, now, page)
  call('HLEN', base .. IDS)
  local due = call('ZRANGE', base .. DUE, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, page, 'WITHSCORES')
  local bytes = 0
  local gone = {}
  local places = {}
  for n = 1, #due, 2 do
    local entry = call('XRANGE', base .. DELAYED, due[n], due[n])[1]
    gone[#gone + 1] = due[n]
    if entry then
      local job = read(entry, '')
      places[#places + 1] = job.id
      places[#places + 1] =
        store(base .. WAITING, job.id, job.name, job.meta, job.payload, tonumber(due[n + 1]), job.reset)
      bytes = bytes + #job.payload
    end
    if bytes > ${PROMOTED} then break end
  end
  if #gone == 0 then return end
  each('HSET', base .. IDS, places)
  each('XDEL', base .. DELAYED, gone)
  each('ZREM', base .. DUE, gone)
end

-- Where somebody deleted the due times, those delayed jobs stand at the head of their stream that nothing else would
-- ever find: they are put off anew. Answers whether there may be more of them.
local function mend(base)
  local missing = call('XLEN', base .. DELAYED) - call('ZCARD', base .. DUE)
  if missing <= 0 then return false end
  call('HLEN', base .. IDS)
  local from, bytes = '-', 0
  local gone, places = {}, {}
  while #gone < math.min(missing, ${MENDED}) and bytes < ${PROMOTED} do
    local entry = call('XRANGE', base .. DELAYED, from, '+', 'COUNT', 1)[1]
    if not entry or call('ZSCORE', base .. DUE, member(entry[1])) then break end
    local job = read(entry, '')
    from = '(' .. entry[1]
    gone[#gone + 1] = entry[1]
    places[#places + 1] = job.id
    places[#places + 1] = defer(base, job.id, job.name, job.meta, job.payload, job.due, job.reset)
    bytes = bytes + #job.payload
  end
  each('HSET', base .. IDS, places)
  each('XDEL', base .. DELAYED, gone)
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
    local ids = sorted[count]
    ids[#ids + 1] = 'RETRYCOUNT'
    ids[#ids + 1] = text(count + ${LOST})
    ids[#ids + 1] = 'JUSTID'
    call('XCLAIM', key, GROUP, '${BACK}', 0, unpack(ids))
  end
end

local function sweep(base, now)
  local key = base .. WAITING
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, GROUP)
  if consumers.err then return nil end
  local left = ${SWEEP}
  local exact = ${EXACT}
  local lost = 0
  local earliest
  for _, consumer in ipairs(consumers) do
    local name, pending, idle = consumer[2], consumer[4], consumer[6]
    local _, lease = ownerOf(name)
    local ours = lease or name == '${FREE}' or name == '${BACK}'
    local own = name == '${FREE}' or name == '${BACK}'
    lease = lease or ${FOREIGN_LEASE}
    if pending == 0 then
      if ours and idle >= lease then call('XGROUP', 'DELCONSUMER', key, GROUP, name) end
    elseif not own then
      local ends = now
      local most = left
      if most > 0 then
        local rows = call('XPENDING', key, GROUP, 'IDLE', lease, '-', '+', most, name)
        lose(key, rows)
        left = most - #rows
        lost = lost + #rows
        pending = pending - #rows
        if left == 0 and pending > 0 then
          -- There may be more of them: the next look goes on.
          ends = now
        elseif pending > exact then
          ends = now + math.max(20, math.floor(lease / ${LOOKS}))
        else
          exact = exact - pending
          ends = nil
          for _, row in ipairs(pending > 0 and call('XPENDING', key, GROUP, '-', '+', pending, name) or {}) do
            local till = now + math.max(1, lease - row[3])
            if not ends or till < ends then ends = till end
          end
        end
      end
      if ends and (not earliest or ends < earliest) then earliest = ends end
    end
  end
  -- Whoever looks now may have no slot for what came back.
  if lost > 0 then ring(base, lost - 1, now) end
  return earliest
end

local function tend(base, now, page)
  local torn = mend(base)
  promote(base, now, page)
  local ends = tonumber(call('GET', base .. LEASES) or nil)
  if not ends or ends <= now then
    ends = sweep(base, now)
    if ends then call('SET', base .. LEASES, text(ends)) else call('DEL', base .. LEASES) end
    call('ZREMRANGEBYSCORE', base .. WAITERS, '-inf', text(now))
  end
  local first = call('ZRANGE', base .. DUE, 0, 0, 'WITHSCORES')
  local next = torn and now or tonumber(first[2] or nil)
  if ends and (not next or ends < next) then next = ends end
  if next then call('SET', base .. NEXT, text(next)) else call('DEL', base .. NEXT) end
  return next
end
`;
