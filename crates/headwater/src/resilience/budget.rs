//! How many new attempts the connector may make: a token bucket, so that trouble is not multiplied. Also the pauses
//! between attempts.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::settings::RetrySettings;

/// A bucket of tokens; a new attempt takes one, a call puts a share of one in, and one a second grows back.
pub(crate) struct Budget {
    ratio: f64,
    reserve: f64,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Budget {
    pub(crate) fn new(settings: &RetrySettings) -> Budget {
        let reserve = f64::from(settings.budget_reserve);
        let bucket = Mutex::new(Bucket { tokens: reserve, filled: Instant::now() });
        Budget { ratio: settings.budget_ratio, reserve, bucket }
    }

    /// A call begins.
    pub(crate) fn deposit(&self) {
        let mut bucket = self.bucket.lock();
        // The bucket holds the reserve and what a burst of calls has earned, but never a long quiet time's worth.
        bucket.tokens = (bucket.tokens + self.ratio).min(self.reserve.max(1.0) * 2.0);
    }

    /// Whether a new attempt may be made; takes its token.
    pub(crate) fn withdraw(&self) -> bool {
        let mut bucket = self.bucket.lock();
        let grown = bucket.filled.elapsed().as_secs_f64();
        bucket.filled = Instant::now();
        if bucket.tokens < self.reserve {
            bucket.tokens = (bucket.tokens + grown).min(self.reserve);
        }
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// The driver made attempts of its own.
    pub(crate) fn charge(&self, attempts: u32) {
        let mut bucket = self.bucket.lock();
        bucket.tokens = (bucket.tokens - f64::from(attempts)).max(0.0);
    }
}

/// The pause before the attempt after `attempts`: drawn evenly from zero to the ceiling, which doubles.
pub(crate) fn pause(settings: &RetrySettings, attempts: u32) -> Duration {
    ceiling(settings, attempts).mul_f64(fastrand::f64())
}

fn ceiling(settings: &RetrySettings, attempts: u32) -> Duration {
    let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    settings.base.saturating_mul(factor).min(settings.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_pauses_differ_and_their_ceiling_doubles_up_to_the_maximum() {
        let settings = RetrySettings::default();
        let ceilings: Vec<u128> = (1..9).map(|n| ceiling(&settings, n).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(ceiling(&settings, 1_000), settings.max);
        let drawn: Vec<Duration> = (0..100).map(|_| pause(&settings, 3)).collect();
        assert!(drawn.iter().all(|pause| *pause <= Duration::from_millis(400)));
        assert!(drawn.iter().any(|pause| *pause < Duration::from_millis(150)));
        assert!(drawn.iter().any(|pause| *pause > Duration::from_millis(250)));
    }

    #[test]
    fn r5_new_attempts_stay_within_the_budget() {
        let settings = RetrySettings { budget_reserve: 10, ..RetrySettings::default() };
        let budget = Budget::new(&settings);
        let mut extra = 0;
        for _ in 0..1_000 {
            budget.deposit();
            extra += u32::from(budget.withdraw());
            extra += u32::from(budget.withdraw());
        }
        // A fifth of the calls and the reserve, and what grew back meanwhile.
        assert!((200..=215).contains(&extra), "{extra}");
    }
}
