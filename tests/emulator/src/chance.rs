//! Chance that can be repeated: numbers that follow from a seed, and any fault there is.

use std::time::Duration;

use crate::faults::{FaultKind, StallPhase};
use crate::ids::mix;

/// Numbers that look like chance, the same from the same seed.
#[derive(Debug, Clone)]
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// What [`Chance::fault`] makes the API say, and jobs fail with.
    pub const WORDS: &str = "So chance would have it";

    /// Numbers from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance { seed: mix(seed), drawn: 0 }
    }

    /// The next number, less than the bound; 0 if the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed.wrapping_add(self.drawn)) % bound.max(1)
    }

    fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N as u64) as usize]
    }

    /// A fault of any kind. None of them lies: with an answer that says that nothing was done, nothing is done.
    /// None takes longer than a second, but for those that stall, and none shuts a tier for longer than that.
    pub fn fault(&mut self) -> FaultKind {
        use StallPhase::{BeforeHead, BeforeRead, InBody, InHead};
        match self.below(33) {
            0 => FaultKind::ResetBefore,
            1 => FaultKind::ResetAtOnce,
            2 => FaultKind::ResetAfter,
            3 => FaultKind::ResetInHead,
            4 => FaultKind::ResetInBody,
            5 => FaultKind::CloseInBody,
            6 => FaultKind::Stall(self.one_of([BeforeRead, BeforeHead, InHead, InBody])),
            7 => FaultKind::Delay(Duration::from_millis(self.below(100))),
            8 => FaultKind::Drip { every: Duration::from_millis(1), bytes: 200 + self.below(2000) as usize },
            9 => self.status(),
            10..=12 => FaultKind::Api {
                status: self.one_of([400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 501, 502, 503, 504]),
                error: Chance::WORDS.to_owned(),
                code: None,
            },
            13 => FaultKind::TruncatedJson,
            14 => FaultKind::MalformedJson,
            15 => FaultKind::WrongTypes,
            16 => FaultKind::ContentLengthTooLong,
            17 => FaultKind::ContentLengthTooShort,
            18 => FaultKind::Html(self.one_of([200, 403, 408, 429, 500, 502, 503, 504, 522])),
            19 | 20 => {
                let delays = [None, Some("0"), Some("0.05"), Some("0.3"), Some("Sun, 06 Nov 1994 08:49:37 GMT")];
                FaultKind::RateLimited { retry_after: self.one_of(delays).map(str::to_owned) }
            }
            21 => FaultKind::EarlyAnswer {
                status: self.one_of([401, 413, 429, 500, 503]),
                after_bytes: self.below(10_000),
                close: self.below(2) == 0,
            },
            22 => FaultKind::NeverEnds,
            23 => FaultKind::JobFails(Chance::WORDS.to_owned()),
            24 => FaultKind::UpperCase,
            25 => FaultKind::Bare,
            26 => FaultKind::Wrapped,
            27 => FaultKind::Future,
            28 => FaultKind::EmptyPage,
            29 => FaultKind::CursorCycle,
            30 => FaultKind::Gzip,
            31 => match self.below(2) {
                0 => FaultKind::GzipBomb(self.below(1 << 24)),
                _ => FaultKind::Oversized(self.below(1 << 24)),
            },
            _ => FaultKind::Redirect { status: self.one_of([301, 302, 303, 307, 308]), location: "/elsewhere".into() },
        }
    }

    /// Any status; one after an act is such that it may be.
    fn status(&mut self) -> FaultKind {
        let acted = self.below(2) == 0;
        FaultKind::Status {
            status: if acted { self.one_of([302, 408, 500, 502, 503, 504, 520]) } else { 400 + self.below(200) as u16 },
            body: self.one_of(["", "busy", "<p>busy"]).to_owned(),
            content_type: "text/plain".to_owned(),
            headers: Vec::new(),
            acted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::mem::discriminant;

    use super::*;

    #[test]
    fn every_kind_of_fault_comes_and_comes_again_from_the_same_seed() {
        let drawn = |seed| {
            let mut chance = Chance::new(seed);
            (0..2000).map(|_| chance.fault()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(7).iter().map(discriminant).collect::<HashSet<_>>().len(), 31);
    }
}
