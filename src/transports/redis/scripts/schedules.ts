/**
 * Recurring jobs: a hash of the schedules, and a sorted set of the ticks of those that do not rest.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { PROBE, script } from "./lua.ts";
import { PUSH } from "./push.ts";

/** Scripts of the verbs upon schedules. */
export type ScheduleScripts = Readonly<
  Record<
    `${"put" | "get" | "remove" | "pause" | "advance"}Schedule` | `${"list" | "due"}Schedules`,
    Script
  >
>;

/** Makes the scripts. */
export function scheduleScripts(naming: Naming): ScheduleScripts {
  return {
    putSchedule: script(naming, "put a schedule", [], BOOK, PUT),
    getSchedule: script(naming, "get a schedule", ["no-writes"], BOOK, GET),
    listSchedules: script(naming, "list schedules", ["no-writes"], BOOK, LIST),
    removeSchedule: script(naming, "remove a schedule", ["allow-oom"], BOOK, REMOVE),
    pauseSchedule: script(naming, "pause a schedule", ["allow-oom"], BOOK, PAUSE),
    dueSchedules: script(naming, "look for due schedules", ["no-writes"], BOOK, DUE),
    advanceSchedule: script(naming, "advance a schedule", [], PROBE, BOOK, ADVANCE),
  };
}

/**
 * A stored schedule: its tick, whether it rests (1), its text, its payload, and the note of its rest. One that another
 * program spoilt is shown with its stored value as its text, and hides no other.
 */
const BOOK = `
local function look(base, key)
  local raw = call('HGET', base .. SCHEDULES, key)
  if not raw then return raw end
  local well, kept = pcall(cmsgpack.unpack, raw)
  if well and type(kept) == 'table' and type(kept[1]) == 'number' and type(kept[3]) == 'string'
    and type(kept[4]) == 'string' then
    if type(kept[5]) ~= 'string' then kept[5] = '' end
    return kept
  end
  return { tonumber(call('ZSCORE', base .. TICKS, key) or 0), 0, raw, '', '' }
end

local function keep(base, key, kept)
  call('HSET', base .. SCHEDULES, key, cmsgpack.pack(kept))
  if kept[2] == 1 then call('ZREM', base .. TICKS, key)
  else call('ZADD', base .. TICKS, text(kept[1]), key) end
end

local function drop(base, key)
  call('ZREM', base .. TICKS, key)
  return call('HDEL', base .. SCHEDULES, key)
end

local function show(list, base, number, key, kept)
  local n = #list
  list[n + 1], list[n + 2], list[n + 3], list[n + 4] = number, key, text(kept[1]), kept[2]
  list[n + 5], list[n + 6], list[n + 7] = kept[3], kept[4], kept[5]
end
`;

/**
 * KEYS the queue's base; ARGV key, tick, text, payload, and the tick to replace, 'none' or an empty text. Answers 0 for
 * created, 1 for replaced, 2 for the same, 3 for another tick than that.
 */
const PUT = `
local kept = look(KEYS[1], ARGV[1])
if kept and kept[3] == ARGV[3] and kept[4] == ARGV[4] then return 2 end
if ARGV[5] ~= '' and ARGV[5] ~= (kept and text(kept[1]) or 'none') then return 3 end
keep(KEYS[1], ARGV[1], { tonumber(ARGV[2]), kept and kept[2] or 0, ARGV[3], ARGV[4], kept and kept[5] or '' })
return kept and 1 or 0
`;

/** KEYS the queue's base; ARGV key. Answers the schedule, if there is one. */
const GET = `
local list = {}
local kept = look(KEYS[1], ARGV[1])
if kept then show(list, KEYS[1], 1, ARGV[1], kept) end
return list
`;

/** KEYS the queue's base; ARGV how many, and the key of the last one before if there was one. */
const LIST = `
local keys = call('HKEYS', KEYS[1] .. SCHEDULES)
table.sort(keys)
local list = {}
for _, key in ipairs(keys) do
  if #list >= 7 * tonumber(ARGV[1]) then break end
  if not ARGV[2] or key > ARGV[2] then show(list, KEYS[1], 1, key, look(KEYS[1], key)) end
end
return list
`;

/** KEYS the queue's base; ARGV key. Answers how many there were. */
const REMOVE = "return drop(KEYS[1], ARGV[1])";

/** KEYS the queue's base; ARGV key, 1 to rest or 0 to go on, and the note. Answers how many there were. */
const PAUSE = `
local kept = look(KEYS[1], ARGV[1])
if not kept then return 0 end
kept[2], kept[5] = tonumber(ARGV[2]), ARGV[3]
keep(KEYS[1], ARGV[1], kept)
return 1
`;

/**
 * KEYS bases of queues; ARGV how many of each. Answers the time, the first tick to come, and the schedules of each
 * queue that are due.
 */
const DUE = `
local now = clock()
local list, first = {}, nil
for number, base in ipairs(KEYS) do
  local earliest = call('ZRANGE', base .. TICKS, 0, 0, 'WITHSCORES')
  local tick = tonumber(earliest[2])
  -- Most polls find that nothing is due.
  if tick and tick <= now then
    local come = call('ZRANGE', base .. TICKS, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, tonumber(ARGV[1]))
    for _, key in ipairs(come) do
      local kept = look(base, key)
      if kept then show(list, base, number, key, kept) end
    end
    local later = call('ZRANGE', base .. TICKS, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    tick = tonumber(later[2])
  end
  if tick and (not first or tick < first) then first = tick end
end
return { text(now), first and text(first) or '', list }
`;

/**
 * KEYS the queue's base; ARGV the arguments of a push of one job, or none; then key, tick, and the next tick or an
 * empty text. Answers nothing when the tick is another one by now; else the answer of the push.
 */
const ADVANCE = `
local after = table.remove(ARGV)
local tick = table.remove(ARGV)
local key = table.remove(ARGV)
local kept = look(KEYS[1], key)
if not kept or kept[2] == 1 or text(kept[1]) ~= tick then return false end
local function push()
${PUSH}
end
local done = #ARGV > 0 and push() or { {}, {}, {} }
if #done[3] == 0 then
  if after == '' then drop(KEYS[1], key)
  else keep(KEYS[1], key, { tonumber(after), 0, kept[3], kept[4], kept[5] }) end
end
return done
`;
