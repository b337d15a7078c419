/**
 * Jobs in. What could refuse the batch comes before the first write, and what grows before what shrinks: a server
 * whose memory is full refuses it whole.
 *
 * KEYS: bases of queues. ARGV: `a` (all or none), `d` (some have due times), `w` (some have windows); then lists of
 * jobs, each `{key, id, name, meta, payload, kind, time, window}`, kind 1 for an instant, 2 for a delay.
 * Answers the numbers of those refused, of the queues that are new, each with its group, and of the queues that cannot
 * be used, each with the reason.
 *
 * @module
 */

import type { Naming } from "../keys.ts";
import type { Script } from "../link.ts";
import { script } from "./lua.ts";

/** Makes the script. */
export function pushScript(naming: Naming): Script {
  return script(naming, "push", [], BODY);
}

const BODY = `
local now = clock()
local atomic = string.find(ARGV[1], 'a') ~= nil
local timed = string.find(ARGV[1], 'd') ~= nil
local windowed = string.find(ARGV[1], 'w') ~= nil

local function target(base, group)
  call('XLEN', base .. WAITING)
  call('HLEN', base .. IDS)
  if timed then
    call('XLEN', base .. DELAYED)
    call('ZCARD', base .. DUE)
  end
  return { base = base, waiting = base .. WAITING, group = group, places = {}, count = 0 }
end

local queues = {}

local function open(queue)
  local base = queue.base
  local topic = string.sub(base, -2) == '@:'
  local groups = topic and call('SMEMBERS', base .. GROUPS) or {}
  table.sort(groups)
  -- Jobs may be where no new ones go: with the first group, while it is given what the topic held.
  local heir = topic and call('GET', base .. HEIR)
  if heir then queue.places[1] = string.sub(base, 1, -2) .. heir .. ':' end
  if #groups > 0 then queue.places[#queue.places + 1] = base end
  for n, group in ipairs(groups) do queue.targets[n] = target(string.sub(base, 1, -2) .. group .. ':', group) end
  if #groups == 0 then queue.targets[1] = target(base, '') end
  if windowed then call('ZCARD', base .. WINDOWS) end
end

local faults = {}
for key, base in ipairs(KEYS) do
  local queue = { base = base, targets = {}, places = {}, added = {}, held = 0 }
  local well, fault = pcall(open, queue)
  if not well then
    queue.fault = true
    queue.targets = {}
    faults[#faults + 1] = key
    faults[#faults + 1] = fault.err or tostring(fault)
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

local function put(target, key, job, due)
  if target.count == 0 and begin(target.base) then
    fresh[#fresh + 1] = key
    fresh[#fresh + 1] = target.group
  end
  target.count = target.count + 1
  local place
  if due and due > now then
    place = defer(target.base, job[2], job[3], job[4], job[5], due)
    if not target.earliest or due < target.earliest then target.earliest = due end
  else
    place = store(target.waiting, job[2], job[3], job[4], job[5], due)
    target.ready = (target.ready or 0) + 1
  end
  local places = target.places
  places[#places + 1] = job[2]
  places[#places + 1] = place
end

local function add(job)
  local queue = queues[job[1]]
  local due
  if job[6] == 1 then due = job[7] elseif job[6] == 2 then due = now + job[7] end
  for _, target in ipairs(queue.targets) do put(target, job[1], job, due) end
  if job[8] and job[8] > 0 then
    call('ZADD', queue.base .. WINDOWS, text(now + job[8]), job[2])
    queue.held = queue.held + 1
  end
end

local refused = {}
local batches = {}
local number = 0
for n = 2, #ARGV do
  local jobs = cmsgpack.unpack(ARGV[n])
  batches[n - 1] = jobs
  if windowed or not atomic then
    for _, job in ipairs(jobs) do
      number = number + 1
      if queues[job[1]].fault then
      elseif job[8] and taken(queues[job[1]], job[2]) then refused[#refused + 1] = number
      else
        if windowed then queues[job[1]].added[job[2]] = true end
        if not atomic then add(job) end
      end
    end
  end
end
if atomic and #refused == 0 and #faults == 0 then
  for _, jobs in ipairs(batches) do
    for _, job in ipairs(jobs) do add(job) end
  end
end

for _, queue in ipairs(queues) do
  for _, target in ipairs(queue.targets) do
    each('HSET', target.base .. IDS, target.places)
    if target.ready then ring(target.base, target.ready, now) end
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
