/**
 * Jobs in. Commands that could refuse the batch come before the first write, and writes that grow a key before those
 * that shrink one: a server whose memory is full refuses it whole.
 *
 * KEYS: bases of queues. ARGV: `a` (all or none), `d` (some have due times), `w` (some have windows), `p` (whether the
 * user may is to be asked first); the instance that polls for them anyway, or nothing; then lists of jobs without any
 * bounds between them, as tables cost more than their values: `key, id, name, meta, payload, kind, time, window`: kind
 * 1 for an instant, 2 for a delay, else 0, and 4 more where the name is to be in the field's name; window -1 for none.
 * Answers the numbers of those refused, of the queues that are new, each with its group, and of the queues that cannot
 * be used, each with the reason.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { PROBE, script } from "./lua.ts";

/** Makes the script. */
export function pushScript(naming: Naming): Script {
  return script(naming, "push", [], PROBE, PUSH);
}

/** The body of the script, behind `PROBE`. */
export const PUSH: string = `
local now = clock()
local atomic = string.find(ARGV[1], 'a') ~= nil
local timed = string.find(ARGV[1], 'd') ~= nil
local windowed = string.find(ARGV[1], 'w') ~= nil
if string.find(ARGV[1], 'p') then probe(KEYS[1], false) end

local function target(base, group)
  call('XLEN', base .. WAITING)
  call('HLEN', base .. IDS)
  call('ZCARD', base .. WAITERS)
  if timed then
    call('STRLEN', base .. NEXT)
    call('XLEN', base .. DELAYED)
    call('ZCARD', base .. DUE)
  end
  return { base = base, waiting = base .. WAITING, group = group, places = {}, count = 0 }
end

local queues = {}

local function enter(queue)
  local base = queue.base
  local topic = string.sub(base, -2) == '@:'
  local groups = topic and call('SMEMBERS', base .. GROUPS) or {}
  table.sort(groups)
  -- Jobs may be where no new ones go: with the first group, while it is given those that the topic held.
  local heir = topic and call('GET', base .. HEIR)
  if heir then queue.places[1] = groupBase(base, heir) end
  if #groups > 0 then queue.places[#queue.places + 1] = base end
  for n, group in ipairs(groups) do queue.targets[n] = target(groupBase(base, group), group) end
  if #groups == 0 then queue.targets[1] = target(base, '') end
  if windowed then call('ZCARD', base .. WINDOWS) end
end

local faults = {}
for key, base in ipairs(KEYS) do
  local queue = { base = base, targets = {}, places = {}, added = {}, held = 0 }
  local well, fault = pcall(enter, queue)
  if not well then
    queue.fault = true
    queue.targets = {}
    faults[#faults + 1] = key
    faults[#faults + 1] = why(fault)
  end
  queues[key] = queue
end

local function taken(queue, id)
  if queue.added[id] then return true end
  local till = call('ZSCORE', queue.base .. WINDOWS, id)
  if till and tonumber(till) > now then return true end
  for _, target in ipairs(queue.targets) do
    if find(target.base, id) then return true end
  end
  for _, base in ipairs(queue.places) do
    if find(base, id) then return true end
  end
  return false
end

local fresh = {}

local function open(target, key)
  if not begin(target.base) then return end
  fresh[#fresh + 1] = key
  fresh[#fresh + 1] = target.group
end

local function addTo(target, key, jobs, n, due, named)
  if target.count == 0 then open(target, key) end
  local id, place = jobs[n + 1], nil
  if due and due > now then
    place = defer(target.base, id, jobs[n + 2], jobs[n + 3], jobs[n + 4], due, nil, named)
    if not target.earliest or due < target.earliest then target.earliest = due end
  else
    -- An instant that is over is now.
    place = store(target.waiting, id, jobs[n + 2], jobs[n + 3], jobs[n + 4], nil, nil, named)
    target.ready = (target.ready or 0) + 1
  end
  target.places[target.count + 1] = id
  target.places[target.count + 2] = place
  target.count = target.count + 2
end

local function add(jobs, n)
  local queue = queues[jobs[n]]
  local kind, time, window = jobs[n + 5], jobs[n + 6], jobs[n + 7]
  local due
  local named = kind >= 4
  if named then kind = kind - 4 end
  if kind == 1 then due = time elseif kind == 2 then due = now + time end
  for _, target in ipairs(queue.targets) do addTo(target, jobs[n], jobs, n, due, named) end
  if window > 0 then
    call('ZADD', queue.base .. WINDOWS, text(now + window), jobs[n + 1])
    queue.held = queue.held + 1
  end
end

local refused = {}
local number = 0

local function judge(jobs, n)
  number = number + 1
  local queue = queues[jobs[n]]
  if queue.fault then return false end
  if jobs[n + 7] >= 0 and taken(queue, jobs[n + 1]) then
    refused[#refused + 1] = number
    return false
  end
  if windowed then queue.added[jobs[n + 1]] = true end
  return true
end

local batches = {}
for n = 3, #ARGV do batches[n - 2] = cmsgpack.unpack(ARGV[n]) end
for _, jobs in ipairs(batches) do
  for n = 1, #jobs, 8 do
    if judge(jobs, n) and not atomic then add(jobs, n) end
  end
end
if atomic and #refused == 0 and #faults == 0 then
  for _, jobs in ipairs(batches) do
    for n = 1, #jobs, 8 do add(jobs, n) end
  end
end

for _, queue in ipairs(queues) do
  for _, target in ipairs(queue.targets) do
    each('HSET', target.base .. IDS, target.places)
    if target.ready and target.ready > 0 then ring(target.base, target.ready, now, ARGV[2]) end
    if target.earliest and lower(target.base, target.earliest) then ring(target.base, 0, now) end
  end
  if queue.held > 0 then
    local over = call('ZRANGE', queue.base .. WINDOWS, '-inf', text(now), 'BYSCORE',
      'LIMIT', 0, math.min(2 * queue.held + 1, 4000))
    if #over > 0 then call('ZREM', queue.base .. WINDOWS, unpack(over)) end
  end
end
return { refused, fresh, faults }
`;
