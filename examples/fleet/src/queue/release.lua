-- Gives a document back. ARGV: prefix, id, lease, worker.
local id, lease, worker = ARGV[2], ARGV[3], ARGV[4]
local document = redis.call('HMGET', key_of(id), 'lease', 'state', 'entry')
if document[1] == lease and document[2] ~= 'submitting' then
  raise_lease(id)
  set(id, 'attempts', '')
  move(id, document[2], resumed(id))
  -- Idle for a day: its lease has expired, whatever the lease time is.
  redis.call('XCLAIM', stream, 'workers', worker, 0, document[3], 'IDLE', 86400000, 'JUSTID')
end
