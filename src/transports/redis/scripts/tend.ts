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
/** Bytes of payloads that are promoted at once. */
const PROMOTED = 8 * 1024 * 1024;
/** A queue with more leases than can be looked at is looked after this often in the time of one. */
const LOOKS = 10;

/** Words for scripts that reserve. */
export const TEND: string = `
local function promote(base, now, page)
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
    local lease = tonumber(string.match(name, '%.(%d+)$') or nil)
    local ours = lease or name == '${FREE}' or name == '${BACK}'
    local own = name == '${FREE}' or name == '${BACK}'
    lease = lease or ${FOREIGN_LEASE}
    if pending == 0 then
      if ours and idle >= lease then call('XGROUP', 'DELCONSUMER', key, GROUP, name) end
    elseif not own then
      local ends = now
      if left > 0 then
        local rows = call('XPENDING', key, GROUP, 'IDLE', lease, '-', '+', left, name)
        lose(key, rows)
        left = left - #rows
        lost = lost + #rows
        pending = pending - #rows
        if pending > exact then
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
  if lost > 1 then ring(base, lost - 2, now) end
  return earliest
end

local function tend(base, now, page)
  promote(base, now, page)
  local ends = tonumber(call('GET', base .. LEASES) or nil)
  if not ends or ends <= now then
    ends = sweep(base, now)
    if ends then call('SET', base .. LEASES, text(ends)) else call('DEL', base .. LEASES) end
    call('ZREMRANGEBYSCORE', base .. WAITERS, '-inf', text(now))
  end
  local first = call('ZRANGE', base .. DUE, 0, 0, 'WITHSCORES')
  local next = tonumber(first[2] or nil)
  if ends and (not next or ends < next) then next = ends end
  if next then call('SET', base .. NEXT, text(next)) else call('DEL', base .. NEXT) end
  return next
end
`;
