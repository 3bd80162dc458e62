//! One rate limit and one work queue for many machines, in Redis or Valkey.

pub mod document;
pub mod queue;
pub mod rate_limiter;
pub mod redis_pool;
pub mod results;
pub mod status;
pub mod worker;
