-- Publish a risk table unless a newer one is there.
--
-- KEYS  1 risk    ARGV  1 midnight of the table, µs  2 the table
-- Reply 1 where it was published, 0 where a newer one stays.

local current = redis.call('HGET', KEYS[1], 'as_of')
if current and tonumber(current) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'as_of', ARGV[1], 'table', ARGV[2])
return 1
