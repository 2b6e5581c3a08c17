-- Record one transaction in its user's history and in the event stream, exactly once; return what arrived before it.
--
-- KEYS  1 answer  2 history  3 stream  4 mark of a late event  5 quarantine  6 counts  (one slot)
-- ARGV  1 packed record of 72 bytes, its arrival and lag still zero  2 transaction_id  3 payload hash, hexadecimal
--       4 body of the `accepted` entry without its closing brace
--       5 longest window + lateness, µs  6 lateness, µs  7 cap, records  8 life of an idle history, ms
--       9 by how much the time may be moved, µs: 0 where the client gave it
-- Reply {status, arrival, history before it, late, its time}; {ANSWERED, 0, answer, 0, 0} where the answer is stored.
-- The time is the one that the first attempt recorded: a retry without a timestamp of its own must not move.
--
-- Repeating a call changes nothing and gives the same history: see docs/decisions/0006.

local NEW, SEEN, ANSWERED, CONFLICT = 0, 1, 2, 3
local SIZE, VERSION, DAY, SLACK = 72, 1, 86400e6, 256
-- Offsets of a record's fields from its first byte, which is 1 in Lua.
local ARRIVAL, ID, PAYLOAD, VERSION_AT, LAG = 16, 24, 32, 65, 66
local NO_PAYLOAD = string.rep('\0', 8)

local record = ARGV[1]
local retention, lateness, cap, life = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local id = string.sub(record, ID + 1, ID + 8)
local payload = string.sub(record, PAYLOAD + 1, PAYLOAD + 8)

local function count(name, amount) redis.call('HINCRBY', KEYS[6], name, amount) end

local function micros(blob, start) return (struct.unpack('<i8', blob, start)) end

local function conflicts(stored) return stored ~= payload and stored ~= NO_PAYLOAD and payload ~= NO_PAYLOAD end

local function foreign(blob)
  return #blob % SIZE ~= 0 or string.byte(blob, 1 + VERSION_AT) ~= VERSION
    or string.byte(blob, #blob - SIZE + 1 + VERSION_AT) ~= VERSION
end

-- The history, or '' for a cold start. What is not ours is moved aside, whatever its type.
local function load()
  local blob = redis.pcall('GET', KEYS[2])
  if blob == false or blob == '' then return '' end
  if type(blob) == 'string' and not foreign(blob) then return blob end
  redis.call('RENAME', KEYS[2], KEYS[5])
  redis.call('PEXPIRE', KEYS[5], life)
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

-- The history without what the kernel can no longer look at, lazily, so that most calls append. A day and half the
-- slack stay behind each limit: a retry finds what the first attempt saw.
local function trim(history, newest)
  local records, cut = #history / SIZE, 0
  if records > 0 and micros(history, 1) < newest - retention - 2 * DAY then
    repeat cut = cut + 1 until cut == records or micros(history, cut * SIZE + 1) >= newest - retention - DAY
    history = string.sub(history, cut * SIZE + 1)
  end
  if records - cut >= cap + SLACK then return without_oldest(history, records - cut - cap - SLACK / 2) end
  return history
end

local function accept(arrival, late, moved_to)
  local body = ARGV[4] .. ',"arrival":{"user":' .. string.format('%.0f', arrival) .. '},"late":' .. tostring(late)
  if moved_to then body = body .. ',"timestamp_us":' .. string.format('%.0f', moved_to) end
  body = body .. '}'
  redis.call('XADD', KEYS[3], '*', 'kind', 'accepted', 'id', ARGV[2], 'payload', ARGV[3], 'body', body)
end

local answer = redis.pcall('GET', KEYS[1])
if type(answer) == 'string' then return { ANSWERED, 0, answer, 0, 0 } end

local history = load()
local own = find(history)
if own then
  if conflicts(string.sub(history, own + PAYLOAD, own + PAYLOAD + 7)) then return { CONFLICT, 0, '', 0, 0 } end
  return { SEEN, micros(history, own + ARRIVAL), string.sub(history, 1, own - 1), 0, micros(history, own) }
end

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
local moved = newest > time and newest - time <= tonumber(ARGV[9])
if moved then
  time = newest
  record = struct.pack('<i8', time) .. string.sub(record, 9)
end

if newest - time > lateness then
  local mark = redis.pcall('GET', KEYS[4])
  if type(mark) == 'string' and #mark == 24 then
    if conflicts(string.sub(mark, 1, 8)) then return { CONFLICT, 0, '', 0, 0 } end
    return { SEEN, micros(mark, 9), '', 1, micros(mark, 17) }
  end
  redis.call('SET', KEYS[4], payload .. struct.pack('<i8i8', arrival, time), 'PX', life)
  count('late', 1)
  accept(arrival, true)
  return { NEW, arrival, '', 1, time }
end

record = string.sub(record, 1, ARRIVAL) .. struct.pack('<i8', arrival) .. string.sub(record, ID + 1, LAG)
  .. struct.pack('<I6', newest - time)
local trimmed = trim(history, newest)
if #trimmed < #history then
  redis.call('SET', KEYS[2], trimmed .. record, 'PX', life)
else
  redis.call('APPEND', KEYS[2], record)
  redis.call('PEXPIRE', KEYS[2], life)
end
accept(arrival, false, moved and time)
return { NEW, arrival, history, 0, time }
