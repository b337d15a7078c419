/**
 * Deliveries given back: they wait again, with consumers that belong to no client.
 *
 * @module
 */

import { BACK, FREE } from "./lua.ts";

/** Words for scripts that give back. */
export const RELEASE: string = `
-- Delayed jobs that are given back are due when they were.
local function putBack(base, stream, entries)
  for _, entry in ipairs(entries) do
    local kept = call('XRANGE', stream, entry, entry)[1]
    if kept then
      local due = read(kept, '').due
      call('ZADD', base .. DUE, text(due), member(entry))
      lower(base, due)
    end
  end
end

-- Gives back entries of one stream: those that lost no lease, and those that came back from one.
local function release(base, late, released, back)
  local stream = base .. (late and DELAYED or WAITING)
  claimFor(stream, '${FREE}', released)
  if late then putBack(base, stream, released) end
  claimFor(stream, '${BACK}', back)
end
`;
