-- Record one transaction in its user's history and in the event stream, exactly once; return what arrived before it.
--
-- KEYS  1 to 3 as history.lua says  4 answer  5 stream  6 mark of a late event  (one slot)
-- ARGV  1 to 7 as history.lua says  8 transaction_id  9 payload hash, hexadecimal
--       10 body of the `accepted` entry without its closing brace
-- Reply {status, arrival, history before it, late, its time}; {ANSWERED, 0, answer, 0, 0} where the answer is stored.
-- The time is the one that the first attempt recorded: a retry without a timestamp of its own must not move.
--
-- Repeating a call changes nothing and gives the same history: see docs/decisions/0006.

local NEW, SEEN, ANSWERED, CONFLICT = 0, 1, 2, 3
local PAYLOAD, NO_PAYLOAD = 32, string.rep('\0', 8)
local payload, sent = string.sub(record, PAYLOAD + 1, PAYLOAD + 8), micros(record, 1)

local function conflicts(stored) return stored ~= payload and stored ~= NO_PAYLOAD and payload ~= NO_PAYLOAD end

local function accept(arrival, late, moved_to)
  local body = ARGV[10] .. ',"arrival":{"user":' .. string.format('%.0f', arrival) .. '},"late":' .. tostring(late)
  if moved_to then body = body .. ',"timestamp_us":' .. string.format('%.0f', moved_to) end
  body = body .. '}'
  redis.call('XADD', KEYS[5], '*', 'kind', 'accepted', 'id', ARGV[8], 'payload', ARGV[9], 'body', body)
end

local answer = redis.pcall('GET', KEYS[4])
if type(answer) == 'string' then return { ANSWERED, 0, answer, 0, 0 } end

local history = load()
local own = find(history)
if own then
  if conflicts(string.sub(history, own + PAYLOAD, own + PAYLOAD + 7)) then return { CONFLICT, 0, '', 0, 0 } end
  return { SEEN, micros(history, own + ARRIVAL), string.sub(history, 1, own - 1), 0, micros(history, own) }
end

local arrival, newest, time = place(history)
if newest - time > lateness then
  local mark = redis.pcall('GET', KEYS[6])
  if type(mark) == 'string' and #mark == 24 then
    if conflicts(string.sub(mark, 1, 8)) then return { CONFLICT, 0, '', 0, 0 } end
    return { SEEN, micros(mark, 9), '', 1, micros(mark, 17) }
  end
  redis.call('SET', KEYS[6], payload .. struct.pack('<i8i8', arrival, time), 'PX', life)
  count('late', 1)
  accept(arrival, true)
  return { NEW, arrival, '', 1, time }
end

append(history, arrival, newest, time)
accept(arrival, false, time ~= sent and time)
return { NEW, arrival, history, 0, time }
