//! A rate limiter that many processes share: one token bucket for each tier, in Redis.
