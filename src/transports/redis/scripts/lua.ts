/**
 * The parts of scripts: a head with the names, the words that several of them use, and a body of their own.
 *
 * @module
 */

import type { Naming, Parts } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { RANGES } from "./ranges.ts";

/** A right of a script that others do not have. */
export type Flag = "allow-oom" | "no-writes";

/** The consumer that holds jobs that were released before any of their leases was lost. */
export const FREE = "free";
/** The consumer that holds jobs that came back from lost leases. */
export const BACK = "back";
/** The number that a lost lease adds to the count of deliveries, whose lower digits tell deliveries apart. */
export const LOST = 1_000_000;
/** Milliseconds of lease that are granted to consumers of others, whose names do not say it. */
export const FOREIGN_LEASE = 30_000;

/** The field of an entry with id, name and metadata, a line each, of a job that `ids` has. */
export const HEAD = "relevo";
/** The same of a job that `ranges` covers. */
export const COVERED_HEAD = "relevo~";
/**
 * What stands before the job's name in the name of a field with id and metadata alone; before that of a job that
 * `ranges` covers stands {@linkcode COVERED_HEAD}.
 */
export const NAMED_HEAD = "relevo:";
/** As Lua writes it: the first field of covered jobs, by that of the others. */
export const COVERED_BY: string = `'${COVERED_HEAD}' .. string.sub(field, ${NAMED_HEAD.length + 1})`;
/** As Lua writes it: the id in a head. */
export const ID_IN: string = "string.match(head, '^[^\\n]*')";

/** Makes a script of words and a body, which is the last source. */
export function script(
  naming: Naming,
  name: string,
  flags: readonly Flag[],
  ...sources: readonly string[]
): Script {
  return shortcutScript(naming, name, flags, "", ...sources);
}

/** The same with a part before the words, which answers calls that need none of them. */
export function shortcutScript(
  naming: Naming,
  name: string,
  flags: readonly Flag[],
  shortcut: string,
  ...sources: readonly string[]
): Script {
  const shebang = flags.length === 0 ? "#!lua" : `#!lua flags=${flags.join(",")}`;
  const body = sources.at(-1) ?? "";
  const words = wordsFor(body, [WORDS, ...sources.slice(0, -1)].join("\n"));
  return { name, source: [shebang, namesOf(naming), shortcut, ...words, body].join("\n") };
}

/**
 * The words that a body needs, in their order: a server makes each word anew for each call of a script. A word is one
 * `local` with its comment, in a paragraph of its own, and uses only words before it; any other paragraph stays.
 */
function wordsFor(body: string, words: string): readonly string[] {
  const needed: string[] = [];
  let users = withoutComments(body);
  for (const word of words.split(/\n\s*\n/).reverse()) {
    const [, name = ""] = /^local (?:function )?(\w+)/m.exec(word) ?? [];
    // Not `string.find`, which would bring all that finds a job into nearly every script.
    if (!new RegExp(`(?<!(?:^|[^.])\\.)\\b${name}\\b`).test(users)) continue;
    needed.unshift(word);
    users += `\n${withoutComments(word)}`;
  }
  return needed;
}

/** Lua without its comments, which use the same words. */
function withoutComments(source: string): string {
  return source.replace(/--.*$/gm, "");
}

/** Every script of a transport is made with its names in it, which cost no arguments then. */
function namesOf({ group, parts }: Naming): string {
  const names = Object.entries(parts) as readonly (readonly [keyof Parts, string])[];
  const left = names.map(([part]) => part.toUpperCase()).join(", ");
  const right = names.map(([, ending]) => luaText(ending)).join(", ");
  return `local ${left} = ${right}\nlocal GROUP = ${luaText(group)}`;
}

/** A text as Lua writes it, whatever is in it. */
function luaText(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return `"${[...bytes].map((byte) => `\\${String(byte).padStart(3, "0")}`).join("")}"`;
}

/**
 * Asks whether a user may run the commands with which a script writes, before it writes anything: a script that is
 * refused in its middle has carried out the commands before.
 */
export const PROBE: string = `
function probe(base, worker)
  local key = base .. 'probe'
  allow({
    { 'EXISTS', key }, { 'XLEN', key }, { 'HLEN', key }, { 'ZCARD', key }, { 'STRLEN', key }, { 'SMEMBERS', key },
    { 'GET', key }, { 'HGET', key, '' }, { 'ZSCORE', key, '' }, { 'ZRANGE', key, 0, 0 }, { 'XRANGE', key, '-', '+' },
    { 'XADD', key, '*', 'f', 'v' }, { 'XGROUP', 'CREATE', key, GROUP, '0' }, { 'HSET', key, 'f', 'v' },
    { 'ZADD', key, 0, 'm' }, { 'ZREM', key, '' }, { 'SET', key, 'v' },
  })
  if not worker then return end
  allow({
    { 'XREADGROUP', 'GROUP', GROUP, 'probe', 'STREAMS', key, '>' }, { 'XINFO', 'GROUPS', key },
    { 'XINFO', 'CONSUMERS', key, GROUP }, { 'XGROUP', 'DELCONSUMER', key, GROUP, 'probe' }, { 'XPENDING', key, GROUP },
    { 'XCLAIM', key, GROUP, 'probe', 0, '0-0' }, { 'XACK', key, GROUP, '0-0' }, { 'XDEL', key, '0-0' },
    { 'HDEL', key, '' }, { 'DEL', key }, { 'MGET', key }, { 'ZREMRANGEBYSCORE', key, 0, 0 },
  })
end
`;

/** Numbers of Lua would be written with an exponent; arguments may be 8,000 at most. */
const WORDS = `
local call = redis.call

local function text(number)
  return string.format('%.0f', number)
end

local function clock()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Refuses where the user may not run one of these commands with its keys, or where it has another name.
local function allow(calls)
  for _, each in ipairs(calls) do
    local known, may = pcall(redis.acl_check_cmd, unpack(each))
    if not known or not may then
      local part = (each[1] == 'XGROUP' or each[1] == 'XINFO') and ' ' .. each[2] or ''
      error({ err = "ERR The user executing the script can't run this command or subcommand (command " .. each[1]
        .. part .. ')' })
    end
  end
end

-- Asks for the rights of a script, where that may be asked: see PROBE.
local probe

-- The message of an error, and the line of the script, which tells the command. Of an error that was caught some
-- servers tell neither, so that a command that is refused is searched for.
local function why(fault)
  local said = type(fault) == 'table' and fault.err or tostring(fault)
  if type(fault) == 'table' and fault.line then return said .. ' on @user_script:' .. fault.line end
  if probe and string.find(said, "can't run") and not string.find(said, '(command', 1, true) then
    local well, told = pcall(probe, KEYS[1], true)
    if not well then return type(told) == 'table' and told.err or tostring(told) end
  end
  return said
end

-- The base of a topic's group; names are escaped as in keys.ts.
local function groupBase(base, group)
  local name = string.gsub(string.gsub(group, '%%', '%%25'), ':', '%%3A')
  return string.sub(base, 1, -2) .. name .. ':'
end

local function each(verb, key, list, first)
  local size = #list
  if size == 0 then return 0 end
  local sum = 0
  for from = 1, size, 4000 do
    local to = math.min(from + 3999, size)
    local count
    if first then count = redis.pcall(verb, key, first, unpack(list, from, to))
    else count = redis.pcall(verb, key, unpack(list, from, to)) end
    if type(count) == 'table' then error({ err = count.err .. ' (command ' .. verb .. ')' }) end
    sum = sum + count
  end
  return sum
end

-- Hands pending entries to a consumer, with options of XCLAIM; answers which of them it holds now.
local function claimFor(stream, consumer, entries, ...)
  local options, held = { ... }, {}
  for from = 1, #entries, 4000 do
    local ids = { unpack(entries, from, math.min(from + 3999, #entries)) }
    for _, option in ipairs(options) do ids[#ids + 1] = option end
    ids[#ids + 1] = 'JUSTID'
    for _, id in ipairs(call('XCLAIM', stream, GROUP, consumer, 0, unpack(ids))) do held[id] = true end
  end
  return held
end

-- The instance and the lease of a consumer; nothing for one of another program's, whatever its name ends in.
local function ownerOf(consumer)
  local instance, lease = string.match(consumer, '^([%w_-]+)%.(%d+)ms$')
  return instance, tonumber(lease or nil)
end

local function millis(entry)
  return tonumber(string.match(entry, '^%d+'))
end

-- Whether bytes are UTF-8: without its sequences nothing is left but ASCII.
local function isText(bytes)
  if not string.find(bytes, '[\\128-\\255]') then return true end
  local rest = string.gsub(bytes, '[\\194-\\223][\\128-\\191]', '.')
  rest = string.gsub(rest, '\\224[\\160-\\191][\\128-\\191]', '.')
  rest = string.gsub(rest, '[\\225-\\236\\238\\239][\\128-\\191][\\128-\\191]', '.')
  rest = string.gsub(rest, '\\237[\\128-\\159][\\128-\\191]', '.')
  rest = string.gsub(rest, '\\240[\\144-\\191][\\128-\\191][\\128-\\191]', '.')
  rest = string.gsub(rest, '[\\241-\\243][\\128-\\191][\\128-\\191][\\128-\\191]', '.')
  rest = string.gsub(rest, '\\244[\\128-\\143][\\128-\\191][\\128-\\191]', '.')
  return not string.find(rest, '[\\128-\\255]')
end

-- Id, name and metadata that a field says, and whether a range covers the job; nothing for any other field.
local function headIn(field, value)
  if string.sub(field, 1, ${HEAD.length}) ~= '${HEAD}' then return nil end
  local kind, name = string.sub(field, 1, ${COVERED_HEAD.length}), string.sub(field, ${
  COVERED_HEAD.length + 1
})
  local covered = kind == '${COVERED_HEAD}'
  if field == '${HEAD}' or field == '${COVERED_HEAD}' then
    local id, inside, meta = string.match(value, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
    return id, inside, meta, covered
  end
  if not covered and (kind ~= '${NAMED_HEAD}' or name == '') then return nil end
  local id, meta = string.match(value, '^([^\\n]*)\\n(.*)$')
  return id, name, meta, covered
end

local function read(entry, queue)
  local job, covers = {}, nil
  local fields = entry[2]
  for n = 1, #fields, 2 do
    job[fields[n]] = fields[n + 1]
    local id, name, meta, covered = headIn(fields[n], fields[n + 1])
    if id then job.id, job.name, job.meta, covers = id, name, meta, covered end
  end
  job.covered = covers
  if not job.id or job.id == '' or not isText(job.id) then job.id = '#' .. entry[1] end
  if not job.name or job.name == '' then job.name = queue end
  job.meta = job.meta or ''
  -- The payload that is stored again: an entry without one stays so.
  job.body = job.payload or false
  job.payload = job.payload or ''
  job.due = string.find(job.due or '', '^%d+$') and tonumber(job.due) or millis(entry[1])
  return job
end

-- A job whose neighbours have the same name may have it in the name of its field.
local function store(key, id, name, meta, payload, due, reset, named)
  local fields = { '${HEAD}', id .. '\\n' .. name .. '\\n' .. meta }
  if named then fields = { '${NAMED_HEAD}' .. name, id .. '\\n' .. meta } end
  -- A name or an id of another program's may have a line end.
  if string.find(name, '\\n', 1, true) or string.find(id, '\\n', 1, true) then
    fields = { 'id', id, 'name', name, 'meta', meta }
  end
  local size = #fields
  if payload then
    fields[size + 1], fields[size + 2] = 'payload', payload
    size = size + 2
  end
  if due then
    fields[size + 1], fields[size + 2] = 'due', text(due)
    size = size + 2
  end
  if reset then fields[size + 1], fields[size + 2] = 'reset', '1' end
  return call('XADD', key, '*', unpack(fields))
end

local function member(entry)
  local ms, seq = string.match(entry, '^(%d+)-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 12 - #seq) .. seq
end

local function defer(base, id, name, meta, payload, due, reset, named)
  local place = member(store(base .. DELAYED, id, name, meta, payload, due, reset, named))
  call('ZADD', base .. DUE, text(due), place)
  return 'd' .. place
end

local function lower(base, at)
  local next = tonumber(call('GET', base .. NEXT) or nil)
  if next and next <= at then return false end
  call('SET', base .. NEXT, text(at))
  return true
end

local function lend(base, at)
  local ends = tonumber(call('GET', base .. LEASES) or nil)
  if not ends or ends > at then call('SET', base .. LEASES, text(at)) end
  lower(base, at)
end

-- Notifies as many waiting clients as there are jobs, and one more, each over a channel of its own. A channel that
-- no client hears is that of one that died: it does not count, so that no notification to a dead client is the last.
local function ring(base, count, now, looks)
  local wanted = math.min(count + 1, 100)
  while wanted > 0 do
    local names = call('ZRANGE', base .. WAITERS, '(' .. text(now), '+inf', 'BYSCORE', 'LIMIT', 0, wanted)
    if #names == 0 then return end
    call('ZREM', base .. WAITERS, unpack(names))
    for _, name in ipairs(names) do
      local heard = 1
      if name ~= looks then heard = redis.pcall('SPUBLISH', base .. BELL .. '.' .. name, '1') end
      -- Where the rights of this user do not allow it, waiting clients find the jobs at their next poll.
      if type(heard) == 'table' then return end
      wanted = wanted - math.min(heard, 1)
    end
  end
end

local function pendingOf(stream, entry)
  local rows = redis.pcall('XPENDING', stream, GROUP, entry, entry, 1)
  if rows.err then return nil end
  return rows[1]
end

local function begin(base)
  if call('EXISTS', base .. WAITING) == 1 then return false end
  call('XGROUP', 'CREATE', base .. WAITING, GROUP, '0', 'MKSTREAM')
  return true
end

${RANGES}
local function find(base, id)
  local place = call('HGET', base .. IDS, id)
  if place and string.sub(place, 1, 1) == 'd' then
    place = string.sub(place, 2)
    local entry = call('XRANGE', base .. DELAYED, place, place)[1]
    if entry then return entry, place end
  elseif place or (#id < 44 and string.find(id, '^#%d+%-%d+$')) then
    -- An entry that another program put in is in no index, and is found by its own number.
    local number = place or string.sub(id, 2)
    local entries = redis.pcall('XRANGE', base .. WAITING, number, number)
    local entry = not entries.err and entries[1]
    if entry and read(entry, '').id == id then return entry end
  end
  return findCovered(base, id)
end
`;
