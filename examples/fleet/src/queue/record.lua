-- Records a step of a document, unless the lease has passed to another worker.
-- ARGV: prefix, id, lease, state, version, job, reason, attempts. Returns recorded, resolved or lost.
local id, lease, state, version, job, reason, attempts = unpack(ARGV, 2)
local document = redis.call('HMGET', key_of(id), 'lease', 'state', 'version', 'job', 'entry')
local is_mine = document[1] == lease
if not is_mine then
  -- The job of a document in doubt ends the doubt, whichever worker brings it.
  if state ~= 'submitted' or document[3] ~= version then
    return 'lost'
  end
  if document[4] == job then
    return 'resolved'
  end
  if document[2] ~= 'in_doubt' then
    return 'lost'
  end
end
set(id, 'version', version)
set(id, 'job', job)
set(id, 'reason', reason)
set(id, 'attempts', attempts)
move(id, document[2], state)
if not is_mine then
  raise_lease(id)
  enqueue(id)
  return 'resolved'
end
if state == 'done' or state == 'failed' or state == 'in_doubt' then
  dequeue(document[5])
end
return 'recorded'
