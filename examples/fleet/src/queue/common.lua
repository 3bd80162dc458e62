-- What the scripts share. KEYS[1] is the stream, ARGV[1] the prefix of the other keys.
local stream, prefix = KEYS[1], ARGV[1]

local function key_of(id)
  return prefix .. 'document:' .. id
end

local function set(id, name, value)
  if value == '' then
    redis.call('HDEL', key_of(id), name)
  else
    redis.call('HSET', key_of(id), name, value)
  end
end

-- Each state has a sorted set of its documents, by the time at which they entered it.
local function move(id, from, to)
  local time = redis.call('TIME')
  if from then
    redis.call('ZREM', prefix .. 'in:' .. from, id)
  end
  redis.call('ZADD', prefix .. 'in:' .. to, time[1] * 1000 + math.floor(time[2] / 1000), id)
  set(id, 'state', to)
end

local function enqueue(id)
  set(id, 'entry', redis.call('XADD', stream, '*', 'document', id))
end

local function dequeue(entry)
  redis.call('XACK', stream, 'workers', entry)
  redis.call('XDEL', stream, entry)
end

-- From now on, the worker that has the document is refused.
local function raise_lease(id)
  return redis.call('HINCRBY', key_of(id), 'lease', 1)
end

-- The state from which a document goes on: what was paid for is kept.
local function resumed(id)
  local known = redis.call('HMGET', key_of(id), 'job', 'version')
  return known[1] and 'submitted' or known[2] and 'uploaded' or 'queued'
end
