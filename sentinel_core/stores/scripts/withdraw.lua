-- Take one record out of a history again: its transaction was refused, or answered long before.
--
-- KEYS  1 history    ARGV  1 the record's id hash, 8 bytes  2 its arrival number  3 bytes of a record
-- Reply 1 where it was taken out, 0 where it is not there.

local ID, ARRIVAL, size = 24, 16, tonumber(ARGV[3])
local history = redis.pcall('GET', KEYS[1])
if type(history) ~= 'string' then return 0 end
local at = string.find(history, ARGV[1], 1, true)
while at do
  local first = at - ID
  if (first - 1) % size == 0 and struct.unpack('<i8', history, first + ARRIVAL) == tonumber(ARGV[2]) then
    redis.call('SET', KEYS[1], string.sub(history, 1, first - 1) .. string.sub(history, first + size), 'KEEPTTL')
    return 1
  end
  at = string.find(history, ARGV[1], at + 1, true)
end
return 0
