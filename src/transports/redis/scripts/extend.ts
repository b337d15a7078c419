/**
 * Ends of leases moved. A lease is its consumer's, less the time for which the entry is idle already; one that is
 * longer needs another consumer of the same instance.
 *
 * KEYS: bases of queues. ARGV: one list of batches, each of one queue, and of one kind as in `settle.ts`:
 * `{key, consumers, ranges, entries, counts, owners, moves, kind}`, a move `{consumer, idle, ms, numbers}`.
 * Answers for each batch the numbers of those that were stale, or why its queue cannot be used.
 *
 * @module
 */

import type { Naming } from "../layout/keys.ts";
import type { Script } from "../client/link.ts";
import { PROBE, script } from "./lua.ts";
import { FENCE, KINDS } from "./settle.ts";

/** Makes the script. */
export function extendScript(naming: Naming): Script {
  return script(naming, "extend", ["allow-oom"], PROBE, FENCE, BODY);
}

const BODY = `
local now = clock()

local function extend(batch)
  local base = KEYS[batch[1]]
  local stream = base .. (batch[8] == ${KINDS.late} and DELAYED or WAITING)
  local entries = batch[4]
  local holds = current(stream, batch[2], batch[3], entries, batch[5], batch[6])
  local stale = {}
  for _, move in ipairs(batch[7]) do
    local claimed = {}
    for _, n in ipairs(move[4]) do
      if holds[n] then claimed[#claimed + 1] = entries[n] end
    end
    local held = claimFor(stream, move[1], claimed, 'IDLE', text(move[2]))
    for _, n in ipairs(move[4]) do
      if not held[entries[n]] or not holds[n] then stale[#stale + 1] = n end
    end
    if #claimed > 0 then lend(base, now + move[3]) end
  end
  return stale
end

local answers = {}
for n, batch in ipairs(cmsgpack.unpack(ARGV[1])) do
  local well, answer = pcall(extend, batch)
  answers[n] = well and answer or why(answer)
end
return answers
`;
