//! Launches agents from many threads for some seconds, under a shared rate limit if `REDIS_URL` is set. For tests.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nomic_client::agents::Launch;
use nomic_client::{Builder, Nomic};
use nomic_fleet::rate_limiter::RedisRateLimiter;

const USAGE: &str = "usage: limited_calls THREADS SECONDS WINDOW_SECONDS";

fn main() -> ExitCode {
    let arguments: Vec<f64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [threads, seconds, window] = arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match client(Duration::from_secs_f64(window)) {
        Ok(nomic) => run(&nomic, threads as usize, Duration::from_secs_f64(seconds)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn client(window: Duration) -> Result<Nomic, Box<dyn std::error::Error>> {
    let builder = Builder::from_env()?.rate_window(window);
    let Ok(url) = std::env::var("REDIS_URL") else {
        return Ok(builder.build()?);
    };
    let limiter = RedisRateLimiter::new(&url, "limited_calls")?.window(window);
    Ok(builder.rate_limiter(limiter).build()?)
}

/// Prints the number of calls that succeeded and that failed.
fn run(nomic: &Nomic, threads: usize, duration: Duration) -> ExitCode {
    let (end, succeeded, failed) = (Instant::now() + duration, AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    match nomic.launch_agent(&Launch::prompt("Go.")) {
                        Ok(_) => succeeded.fetch_add(1, Ordering::Relaxed),
                        Err(error) => {
                            eprintln!("{error}");
                            failed.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    println!("{} {}", succeeded.into_inner(), failed.into_inner());
    ExitCode::SUCCESS
}
