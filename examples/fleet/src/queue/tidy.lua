-- Forgets workers without a document: this one, and those not seen for an hour. ARGV: prefix, worker.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, 'workers')) do
  -- Names and values in turn: name, pending, idle.
  local name, pending, idle = consumer[2], consumer[4], consumer[6]
  if pending == 0 and (name == ARGV[2] or idle > 3600000) then
    redis.call('XGROUP', 'DELCONSUMER', stream, 'workers', name)
  end
end
