-- What every script over packed histories shares; it stands in front of each (redis_clients.script).
--
-- KEYS  1 history  2 quarantine  3 counts  (one slot)
-- ARGV  1 packed record, its arrival and lag still zero  2 longest window + lateness, µs  3 lateness, µs
--       4 cap, records  5 records beyond the cap  6 life of an idle history, ms
--       7 by how much the time may be moved, µs: 0 where the client gave it

local VERSION = 1
-- Offsets of a record's fields from its first byte, which is 1 in Lua; version and lag are counted from its end.
local SIZE, ARRIVAL, ID = #ARGV[1], 16, 24
local VERSION_AT, LAG = SIZE - 7, SIZE - 6

local record = ARGV[1]
local retention, lateness, cap, spare = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local life, movable = ARGV[6], tonumber(ARGV[7])
local id = string.sub(record, ID + 1, ID + 8)

local function count(name, amount) redis.call('HINCRBY', KEYS[3], name, amount) end

local function micros(blob, start) return (struct.unpack('<i8', blob, start)) end

local function foreign(blob)
  return #blob % SIZE ~= 0 or string.byte(blob, 1 + VERSION_AT) ~= VERSION
    or string.byte(blob, #blob - SIZE + 1 + VERSION_AT) ~= VERSION
end

-- The history, or '' for a cold start. What is not ours is moved aside, whatever its type.
local function load()
  local blob = redis.pcall('GET', KEYS[1])
  if blob == false or blob == '' then return '' end
  if type(blob) == 'string' and not foreign(blob) then return blob end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('PEXPIRE', KEYS[2], life)
  count('quarantined', 1)
  return ''
end

-- Where the record of this transaction starts, or nil. Ids match at their own offset only.
local function find(history)
  local at = string.find(history, id, 1, true)
  while at and (at - 1 - ID) % SIZE ~= 0 do at = string.find(history, id, at + 1, true) end
  return at and at - ID
end

-- The history without its `surplus` oldest events. They stand in front unless events came out of order: then the
-- oldest are picked out, as the kernel counts the cap by the events' times.
local function without_oldest(history, surplus)
  local times, order, in_order = {}, {}, true
  for at = 1, #history / SIZE do
    times[at], order[at] = micros(history, (at - 1) * SIZE + 1), at
    in_order = in_order and (at == 1 or times[at] >= times[at - 1])
  end
  count('capped', surplus)
  if in_order then return string.sub(history, surplus * SIZE + 1) end
  table.sort(order, function(a, b) return times[a] < times[b] or (times[a] == times[b] and a < b) end)
  local dropped, kept = {}, {}
  for n = 1, surplus do dropped[order[n]] = true end
  for at = 1, #times do
    if not dropped[at] then kept[#kept + 1] = string.sub(history, (at - 1) * SIZE + 1, at * SIZE) end
  end
  return table.concat(kept)
end

-- The history without what the kernel can no longer look at, lazily, so that most calls append. The lateness once more
-- and half the spare records stay behind the limits: a retry finds what the first attempt saw.
local function trim(history, newest)
  local records, cut = #history / SIZE, 0
  if records > 0 and micros(history, 1) < newest - retention - 2 * lateness then
    repeat cut = cut + 1 until cut == records or micros(history, cut * SIZE + 1) >= newest - retention - lateness
    history = string.sub(history, cut * SIZE + 1)
  end
  if records - cut >= cap + spare then return without_oldest(history, records - cut - cap - spare / 2) end
  return history
end

-- The arrival number of the record, the newest time known by then, and the record's own time, which may have moved.
local function place(history)
  local time = micros(record, 1)
  local clock = redis.call('TIME')
  local arrival, newest = clock[1] * 1e6 + clock[2], time
  if history ~= '' then
    local last = #history - SIZE + 1
    arrival = math.max(arrival, micros(history, last + ARRIVAL) + 1)
    -- Each record carries how far it lies behind the newest before it, so that the last one knows the newest.
    newest = math.max(newest, micros(history, last) + struct.unpack('<I6', history, last + LAG))
  end
  -- Of two events whose times our own clocks gave, the one that arrives later does not lie before the other: it would
  -- not see it, and a burst over several workers would slip through between their clocks.
  if newest > time and newest - time <= movable then
    time = newest
    record = struct.pack('<i8', time) .. string.sub(record, 9)
  end
  return arrival, newest, time
end

local function append(history, arrival, newest, time)
  record = string.sub(record, 1, ARRIVAL) .. struct.pack('<i8', arrival) .. string.sub(record, ID + 1, LAG)
    .. struct.pack('<I6', newest - time)
  local trimmed = trim(history, newest)
  if #trimmed < #history then
    redis.call('SET', KEYS[1], trimmed .. record, 'PX', life)
  else
    redis.call('APPEND', KEYS[1], record)
    redis.call('PEXPIRE', KEYS[1], life)
  end
end
