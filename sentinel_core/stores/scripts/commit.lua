-- Store the answer to one transaction and put it into the event stream, exactly once.
--
-- KEYS  1 answer  2 stream  (one slot)
-- ARGV  1 the answer  2 its life, ms  3 transaction_id  4 payload hash, hexadecimal  5 body of the `answered` entry
-- Reply nil where this answer was stored; else the one that was there before, which counts.

local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then return stored end
redis.call('XADD', KEYS[2], '*', 'kind', 'answered', 'id', ARGV[3], 'payload', ARGV[4], 'body', ARGV[5])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
