-- Takes a document: one whose lease has expired, or else the next one. ARGV: prefix, worker, lease time in ms.
-- Returns the length of the stream, the id, and the fields of the document.
local worker, lease_time = ARGV[2], ARGV[3]

local function expired()
  local cursor = '0-0'
  repeat
    local reply = redis.call('XAUTOCLAIM', stream, 'workers', worker, lease_time, cursor, 'COUNT', 1)
    if #reply[2] > 0 then
      return reply[2][1]
    end
    cursor = reply[1]
  until cursor == '0-0'
end

local function fresh()
  local reply = redis.call('XREADGROUP', 'GROUP', 'workers', worker, 'COUNT', 1, 'STREAMS', stream, '>')
  return reply and reply[1][2][1]
end

while true do
  local entry = expired() or fresh()
  if not entry then
    return { redis.call('XLEN', stream), '', {} }
  end
  local id = entry[2][2]
  local document = redis.call('HMGET', key_of(id), 'state', 'entry', 'worker')
  if document[2] ~= entry[1] then
    dequeue(entry[1])
  elseif document[1] == 'submitting' then
    -- It may have been submitted: only a person may decide.
    raise_lease(id)
    set(id, 'reason', 'the worker ' .. document[3] .. ' was lost while it submitted it')
    move(id, 'submitting', 'in_doubt')
    dequeue(entry[1])
  else
    raise_lease(id)
    set(id, 'worker', worker)
    return { redis.call('XLEN', stream), id, redis.call('HGETALL', key_of(id)) }
  end
end
