#!lua flags=allow-oom
-- The token bucket of one tier, shared by all processes. The model is that of src/rate_limit.rs in the client, with
-- reservations: a request takes its token at once, even if the bucket is empty, and learns when the token will be there.
--
-- KEYS[1]: the hash of one owner and tier
-- ARGV: the operation, the documented quota, the window in µs, and
--   acquire: the number of the reservation (0 makes one), µs until the deadline, successes to count
--   observe: when the token was taken, whether the bucket was full, and what the response said: limit, remaining,
--            whether it is a 429, Retry-After in µs (-1 for a header that is missing)
--   cancel:  nothing
-- Returns integers: µs until the token is there, the number of the reservation (0: none), the time of the server in µs,
--   whether the bucket was full, µs until the tier is no longer blocked, µs between two requests, the quota, the tokens
--   rounded up, whether the refill is not decreased.
-- All times are in µs, on the clock of the Redis server.

local HEADROOM = 0.99
local DECREASE = 0.85
local INCREASE = 0.01
local INCREASE_PER_WINDOW = 0.1
local FIXED_WINDOW = 0.25
local MAX_BLOCKED = 3600 * 1000000
-- Of a token, so that rounding makes nobody wait twice.
local SLACK = 0.000001
-- After so many idle windows the bucket is full, and its refill has recovered.
local IDLE_WINDOWS = 10

local operation, window = ARGV[1], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local stored = redis.call('HMGET', KEYS[1],
    'quota', 'tokens', 'refilled_at', 'share', 'decreased_at', 'blocked_until', 'first', 'last')
local quota = tonumber(stored[1]) or tonumber(ARGV[2])
local tokens = tonumber(stored[2]) or quota
local refilled_at = tonumber(stored[3]) or now
local share = tonumber(stored[4]) or 1
local decreased_at = tonumber(stored[5]) or 0
local blocked_until = tonumber(stored[6]) or 0
-- Reservations are numbered from the time at which the hash was made, so that those of a lost hash are recognized.
local first = tonumber(stored[7]) or now
local last = tonumber(stored[8]) or first

-- A blocked tier refills, too: the service does. If the clock was set back, nothing is refilled.
local windows = math.max(now - refilled_at, 0) / window
share = math.min(share + windows * INCREASE_PER_WINDOW, 1)
tokens = math.min(tokens + windows * quota * share * HEADROOM, quota)
local max_blocked = math.max(MAX_BLOCKED, window)
blocked_until = math.min(blocked_until, now + max_blocked)

local function interval()
    return window / (quota * share * HEADROOM)
end

-- The shortest time in which so many tokens can be refilled. The share may recover meanwhile; who comes too early is
-- told the rest, but who comes too late would leave a gap.
local function time_for(missing)
    if missing <= SLACK then
        return 0
    end
    local fastest = share
    if missing > 1 then
        fastest = math.min(share + missing * (INCREASE + INCREASE_PER_WINDOW / quota), 1)
    end
    return math.ceil(missing * window / (quota * fastest * HEADROOM))
end

local ready_in, reservation, was_full = 0, 0, 0

if operation == 'acquire' then
    local asked, left, successes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
    share = math.min(share + successes * INCREASE, 1)
    if asked > first and asked <= last then
        -- The tokens of later reservations are not missing for this one.
        reservation = asked
        ready_in = math.max(time_for(-(tokens + (last - reservation))), math.ceil(blocked_until - now), 0)
    else
        ready_in = math.max(time_for(1 - tokens), math.ceil(blocked_until - now), 0)
        if ready_in <= left then
            if ready_in == 0 and tokens >= quota then
                was_full = 1
            end
            tokens = tokens - 1
            last = last + 1
            reservation = last
        end
    end
elseif operation == 'observe' then
    local taken_at, taken_from_full = tonumber(ARGV[4]), tonumber(ARGV[5])
    local limit, remaining = tonumber(ARGV[6]), tonumber(ARGV[7])
    local throttled, delay = tonumber(ARGV[8]), tonumber(ARGV[9])
    local since = math.max(now - taken_at, 0)
    if taken_from_full == 1 then
        -- The service's full bucket refills from the arrival of this request on.
        tokens = tokens - math.min(since / interval(), 1)
    end
    if limit >= 0 then
        quota = math.max(limit, 1)
    end
    if throttled == 1 then
        -- Empties the bucket. What is reserved stays reserved.
        tokens = math.min(math.floor(tokens), 0)
        if delay >= 0 then
            delay = math.min(delay, max_blocked)
            blocked_until = math.max(blocked_until, now + delay)
            -- Requests that were in flight at a decrease are throttled for the same reason. A long delay announces the
            -- end of a fixed window, not contention.
            if taken_at > decreased_at and delay <= window * FIXED_WINDOW then
                share = share * DECREASE
                decreased_at = now
            end
        end
    else
        share = math.min(share + INCREASE, 1)
        if remaining >= 0 then
            tokens = math.min(tokens, remaining + since / interval())
        end
    end
elseif operation == 'cancel' then
    tokens = math.min(tokens + 1, quota)
else
    return redis.error_reply('ERR unknown operation')
end

redis.call('HSET', KEYS[1], 'quota', quota, 'tokens', tokens, 'refilled_at', now, 'share', share,
    'decreased_at', decreased_at, 'blocked_until', blocked_until, 'first', first, 'last', last)
local busy = math.max(-tokens * interval(), blocked_until - now, 0)
redis.call('PEXPIRE', KEYS[1], math.ceil((busy + IDLE_WINDOWS * window) / 1000))

return { ready_in, reservation, now, was_full, math.max(math.ceil(blocked_until - now), 0), math.ceil(interval()), quota,
    math.ceil(tokens), share >= 1 and 1 or 0 }
