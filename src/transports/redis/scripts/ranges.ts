/**
 * Ids that no index has: a member of the sorted set `ranges` covers those that one script added in ascending order, as
 * `first id, last id, first entry, last entry`. An index of all would take two fifths of a waiting job's memory.
 *
 * @module
 */

/** The length of a generated id, and of its start that says the second (1,024 ms) in which it was made. */
export const ID = 26;
export const SECOND = 8;
/** Jobs that one script adds at most, or more. */
const MOST = 1_048_576;

/** Words of `lua.ts`, behind those that read an entry. */
export const RANGES: string = `
-- Entries are gone, so many of which ranges covered; with a stream's last entry its ranges go, too.
local function uncover(base, count)
  if call('XLEN', base .. WAITING) == 0 then
    call('DEL', base .. RANGES, base .. COVERED)
    return
  end
  if count == 0 then return end
  local left = tonumber(call('GET', base .. COVERED) or 0) - count
  call('SET', base .. COVERED, text(math.max(0, left)))
end

-- By bytes: how Lua compares texts depends on the server's language.
local function ascends(a, b)
  for n = 1, math.min(#a, #b) do
    local left, right = string.byte(a, n), string.byte(b, n)
    if left ~= right then return left < right end
  end
  return #a < #b
end

-- Whether an entry stands before another; their numbers may have more digits than are exact in Lua.
local function isEarlier(a, b)
  local ams, aseq = string.match(a, '^(%d+)-(%d+)$')
  local bms, bseq = string.match(b, '^(%d+)-(%d+)$')
  if ams ~= bms then aseq, bseq = ams, bms end
  if #aseq ~= #bseq then return #aseq < #bseq end
  return ascends(aseq, bseq)
end

-- The first entry of a stretch, and its id.
local function firstIn(stream, from, to)
  local entry = call('XRANGE', stream, from, to, 'COUNT', 1)[1]
  return entry, entry and read(entry, '').id
end

-- The entry of an id in a range: both ascend there, so that the stretch in which it may be is halved again and again.
local function bisect(stream, id, from, to)
  local lowms, low = string.match(from, '^(%d+)-(%d+)$')
  local highms, high = string.match(to, '^(%d+)-(%d+)$')
  local wide = #highms > 15 or #high > 15 or #low > 15
  lowms, low, highms, high = tonumber(lowms), tonumber(low), tonumber(highms), tonumber(high)
  while wide do
    -- Entries that other programs number by nanoseconds have numbers that are not exact in Lua.
    local entry, found = firstIn(stream, from, to)
    if not entry or found == id then return entry end
    from = '(' .. entry[1]
  end
  while lowms < highms or (lowms == highms and low <= high) do
    local ms, seq = lowms, math.floor((low + high) / 2)
    if lowms < highms then ms, seq = math.floor((lowms + highms + 1) / 2), 0 end
    local entry, found = firstIn(stream, text(ms) .. '-' .. text(seq), to)
    if found == id then return entry end
    if entry and ascends(found, id) then
      lowms, low = string.match(entry[1], '^(%d+)-(%d+)$')
      lowms, low = tonumber(lowms), low + 1
    elseif lowms < highms then
      -- As many as one script adds at most.
      highms, high = ms - 1, ${MOST}
    else
      high = seq - 1
    end
  end
  return nil
end

-- The entry of a generated id in no index, whose range begins in the same second by its dispatcher's clock.
local function findCovered(base, id)
  if #id ~= ${ID} then return nil end
  local first = '[' .. string.sub(id, 1, ${SECOND})
  for _, range in ipairs(call('ZRANGE', base .. RANGES, first, '[' .. id .. '~', 'BYLEX')) do
    local last, from, to = string.match(range, ' (%w+) (%S+) (%S+)$')
    if last and not ascends(last, id) then
      local entry = bisect(base .. WAITING, id, from, to)
      if entry then return entry end
    end
  end
  return nil
end
`;
