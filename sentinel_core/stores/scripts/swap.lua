-- Replace a history if it is still the one that was read.
--
-- KEYS  1 history    ARGV  1 what was read  2 what replaces it  3 life of an idle history, ms
-- Reply 1 where it was replaced, 0 where somebody wrote meanwhile.

if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
