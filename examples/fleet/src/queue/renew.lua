-- Renews the leases of a worker. ARGV: prefix, worker, then pairs of id and lease.
local worker = ARGV[2]
for i = 3, #ARGV, 2 do
  local document = redis.call('HMGET', key_of(ARGV[i]), 'lease', 'entry')
  if document[1] == ARGV[i + 1] then
    redis.call('XCLAIM', stream, 'workers', worker, 0, document[2], 'JUSTID')
  end
end
