/**
 * The groups that get a topic's jobs. The first group gets the jobs that waited; until it has all of them, page by
 * page, pushes go on to the topic itself, behind the rest. The next bind goes on where a process died that moved them.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { script } from "./lua.ts";

/** Jobs that are moved at once. */
const PAGE = 1_000;
/** Bytes of them. */
const BYTES = 8 * 1024 * 1024;

/** The scripts of topics. */
export type TopicScripts = Readonly<Record<"bind" | "unbind", Script>>;

/** Makes the scripts. */
export function topicScripts(naming: Naming): TopicScripts {
  return { bind: script(naming, "bind", [], BIND), unbind: script(naming, "unbind", [], UNBIND) };
}

/**
 * Binds a group: KEYS the topic's base, ARGV the group. Answers whether it is done, and the first group if there was
 * one.
 */
const BIND = `
local now = clock()
local base, group = KEYS[1], ARGV[1]

local heir = call('GET', base .. HEIR)
if not heir then
  if call('SISMEMBER', base .. GROUPS, group) == 1 then return { 1, '' } end
  if call('SCARD', base .. GROUPS) > 0 then
    call('SADD', base .. GROUPS, group)
    return { 1, '' }
  end
  heir = group
  call('SET', base .. HEIR, heir)
end

local target = groupBase(base, heir)
local bytes = 0
local places = {}

local function note(id, place)
  places[#places + 1] = id
  places[#places + 1] = place
end

local function moveWhole()
  for _, part in ipairs({ WAITING, DELAYED, DUE, IDS, NEXT, LEASES }) do
    if call('EXISTS', target .. part) == 1 then return false end
  end
  for _, part in ipairs({ WAITING, DELAYED, DUE, IDS, NEXT, LEASES }) do
    if call('EXISTS', base .. part) == 1 then call('RENAME', base .. part, target .. part) end
  end
  return true
end

local function moveWaiting()
  local gone = {}
  local from = '-'
  while #gone < ${PAGE} and bytes < ${BYTES} do
    local entry = call('XRANGE', base .. WAITING, from, '+', 'COUNT', 1)[1]
    if not entry then break end
    from = '(' .. entry[1]
    local job = read(entry, '')
    begin(target)
    note(job.id, store(target .. WAITING, job.id, job.name, job.meta, job.body, job.due, job.reset))
    bytes = bytes + #job.payload
    gone[#gone + 1] = entry[1]
  end
  each('XDEL', base .. WAITING, gone)
  return #gone
end

local function moveDelayed()
  local pairs = call('ZRANGE', base .. DUE, 0, ${PAGE} - 1, 'WITHSCORES')
  local gone = {}
  for n = 1, #pairs, 2 do
    local entry = call('XRANGE', base .. DELAYED, pairs[n], pairs[n])[1]
    if entry then
      local job = read(entry, '')
      note(job.id, defer(target, job.id, job.name, job.meta, job.body, tonumber(pairs[n + 1]), job.reset))
      lower(target, tonumber(pairs[n + 1]))
    end
    gone[#gone + 1] = pairs[n]
  end
  each('XDEL', base .. DELAYED, gone)
  each('ZREM', base .. DUE, gone)
  return #gone
end

local moved = 0
local whole = moveWhole()
if not whole then
  moved = moveWaiting()
  if moved == 0 then moved = moveDelayed() end
  each('HSET', target .. IDS, places)
  for n = 1, #places, 2 do call('HDEL', base .. IDS, places[n]) end
end
ring(target, math.max(moved, call('XLEN', target .. WAITING)), now)
if moved > 0 then return { 0, heir } end
call('SADD', base .. GROUPS, heir)
call('DEL', base .. HEIR, base .. NEXT)
return { heir == group and 1 or 0, heir }
`;

/** Ends a binding: KEYS the topic's base, ARGV the group. Answers whether there was one. */
const UNBIND = `
local held = call('SREM', KEYS[1] .. GROUPS, ARGV[1])
if call('GET', KEYS[1] .. HEIR) == ARGV[1] then
  call('DEL', KEYS[1] .. HEIR)
  held = 1
end
return held
`;
