//! A seeded random number generator, which also makes random faults.

use std::time::Duration;

use crate::faults::{BARE_FAULTS, CannedResponse, FaultKind, StallPhase};
use crate::ids::mix;

/// A small random number generator for reproducible tests. The same seed gives the same sequence.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: u64,
    drawn: u64,
}

impl Rng {
    /// The message of random API errors and job failures, so that a test can recognize them.
    pub const ERROR_MESSAGE: &str = "Random fault";

    /// Creates a generator from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        Rng { seed: mix(seed), drawn: 0 }
    }

    /// Returns a number in `0..bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed.wrapping_add(self.drawn)) % bound.max(1)
    }

    fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N as u64) as usize]
    }

    /// Returns a random fault of any kind.
    ///
    /// A fault whose response says that the request was not executed never executes it. Except for
    /// [stalls](FaultKind::Stall), no fault delays a response, or asks the client to wait, for more than a second.
    pub fn fault(&mut self) -> FaultKind {
        use StallPhase::{BeforeHead, BeforeRead, InBody, InHead};
        match self.below(33) as usize {
            bare @ 0..19 => BARE_FAULTS[bare].1.clone(),
            19 => FaultKind::Stall(self.one_of([BeforeRead, BeforeHead, InHead, InBody])),
            20 => FaultKind::Delay(Duration::from_millis(self.below(100))),
            21 => FaultKind::Drip { every: Duration::from_millis(1), bytes: 200 + self.below(2000) as usize },
            22 => self.response(),
            23..=25 => FaultKind::Api {
                status: self.one_of([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504]),
                error: Rng::ERROR_MESSAGE.to_owned(),
                code: None,
            },
            26 => FaultKind::Html(self.one_of([200, 403, 408, 429, 500, 502, 503, 504, 522])),
            27 | 28 => {
                let delays = [None, Some("0"), Some("0.05"), Some("0.3"), Some("Sun, 06 Nov 1994 08:49:37 GMT")];
                FaultKind::RateLimited { retry_after: self.one_of(delays).map(str::to_owned) }
            }
            29 => FaultKind::EarlyResponse {
                status: self.one_of([401, 413, 429, 500, 503]),
                after_bytes: self.below(10_000),
                close: self.below(2) == 0,
            },
            30 => FaultKind::JobFails(Rng::ERROR_MESSAGE.to_owned()),
            31 => match self.below(2) {
                0 => FaultKind::GzipBomb(self.below(1 << 24)),
                _ => FaultKind::Oversized(self.below(1 << 24)),
            },
            _ => FaultKind::Redirect { status: self.one_of([301, 302, 303, 307, 308]), location: "/elsewhere".into() },
        }
    }

    /// A canned response. Only with a status that leaves the effect open is the request executed.
    fn response(&mut self) -> FaultKind {
        let executed = self.below(2) == 0;
        let status =
            if executed { self.one_of([302, 408, 500, 502, 503, 504, 520]) } else { 400 + self.below(200) as u16 };
        let response = CannedResponse::new(status, "text/plain", self.one_of(["", "busy", "<p>busy"]));
        if executed { response.after_executing().into() } else { response.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::mem::discriminant;

    use super::*;

    #[test]
    fn every_kind_of_fault_occurs_and_the_same_seed_repeats_them() {
        let drawn = |seed| {
            let mut rng = Rng::new(seed);
            (0..2000).map(|_| rng.fault()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(7).iter().map(discriminant).collect::<HashSet<_>>().len(), 31);
    }
}
