-- Adds a document that is not known yet. ARGV: prefix, id, path, content.
local id, path, content = ARGV[2], ARGV[3], ARGV[4]
local known = redis.call('HMGET', key_of(id), 'path', 'content')
if known[1] then
  return (known[1] == path and known[2] == content) and 'known' or 'collision'
end
redis.call('HSET', key_of(id), 'path', path, 'content', content, 'lease', 0)
move(id, nil, 'queued')
enqueue(id)
return 'added'
