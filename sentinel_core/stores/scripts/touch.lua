-- Note one transaction in the history of an entity that it touches, once; return what arrived before it.
--
-- KEYS and ARGV as history.lua says
-- Reply {status, arrival, history before it, its time}: NEW, SEEN where it was noted before, or LATE, and then nothing
-- is noted. What is older than a full history was noted before and dropped from it, or would be dropped at once: LATE.

local NEW, SEEN, LATE = 0, 1, 2

local history = load()
local own = find(history)
if own then
  return { SEEN, micros(history, own + ARRIVAL), string.sub(history, 1, own - 1), micros(history, own) }
end

local arrival, newest, time = place(history)
if newest - time > lateness or (#history >= cap * SIZE and time < micros(history, 1)) then
  count('late_touches', 1)
  return { LATE, -1, '', time }
end
append(history, arrival, newest, time)
return { NEW, arrival, history, time }
