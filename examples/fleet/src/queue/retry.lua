-- Puts a document back that failed or is in doubt. ARGV: prefix, id, the state that it must have, a job or nothing.
local id, state, job = ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', key_of(id), 'state') ~= state then
  return 0
end
if job ~= '' then
  set(id, 'job', job)
end
raise_lease(id)
set(id, 'attempts', '')
set(id, 'reason', '')
move(id, state, resumed(id))
enqueue(id)
return 1
