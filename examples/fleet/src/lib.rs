//! One rate limit and one work queue for many machines, in Redis or Valkey.

pub mod rate_limiter;
