-- Count one request of a caller, unless that would be more than the limit within the window that ends now.
--
-- KEYS  1 the counts of the caller
-- ARGV  1 limit  2 window, µs
-- Reply 0 where it was counted; else after how many ms it may come again.
--
-- Two fixed windows stand for the sliding one: of the requests in the one before, the part that still overlaps counts.
-- The server's clock decides, so that workers on several machines agree.

local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local number = math.floor(now / window)
local passed = now - number * window

local stored = redis.call('HMGET', KEYS[1], 'number', 'current', 'before')
local current, before = 0, 0
if stored[1] then
  local age = number - tonumber(stored[1])
  if age == 0 then
    current, before = tonumber(stored[2]), tonumber(stored[3])
  elseif age == 1 then
    before = tonumber(stored[2])
  end
end

if before * (window - passed) / window + current + 1 > limit then
  local at
  if current + 1 <= limit then
    at = window * (1 - (limit - current - 1) / before)
  else
    at = window + window * (1 - (limit - 1) / current)
  end
  return math.max(1, math.ceil((at - passed) / 1000))
end
redis.call('HSET', KEYS[1], 'number', number, 'current', current + 1, 'before', before)
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 500))
return 0
