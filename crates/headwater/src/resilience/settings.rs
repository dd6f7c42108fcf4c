//! How much trouble the connector puts up with: attempts, pauses, limits. Values only; knows nothing of operations.

use std::time::Duration;

/// The settings of the layer that every operation passes through.
///
/// ```
/// use headwater::ResilienceSettings;
/// let mut settings = ResilienceSettings::default();
/// settings.retry.attempts = 2;
/// assert!(settings.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ResilienceSettings {
    /// How often and how fast an operation is tried again.
    pub retry: RetrySettings,
    /// When a server set is left alone for a while.
    pub breaker: BreakerSettings,
    /// How many operations may be under way.
    pub bulkhead: BulkheadSettings,
}

/// How often and how fast an operation is tried again.
///
/// The pause before attempt n + 1 is drawn evenly from zero to `min(max, base * 2^n)` ("full jitter").
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetrySettings {
    /// Attempts of one call in all, the driver's included; at least 1, which means that nothing is tried again. 3.
    pub attempts: u32,
    /// The ceiling of the first pause. 100 ms.
    pub base: Duration,
    /// The ceiling of every pause. 5 s.
    pub max: Duration,
    /// How long the whole call may take, pauses included. 30 s.
    pub deadline: Duration,
    /// How long a server may take to answer one attempt; without it only the deadline counts. None.
    pub attempt_timeout: Option<Duration>,
    /// The budget: new attempts allowed per call, averaged over all calls of the connector. 0.2.
    pub budget_ratio: f64,
    /// New attempts that are allowed whatever the average says; one a second grows back. 20.
    pub budget_reserve: u32,
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetrySettings {
            attempts: 3,
            base: Duration::from_millis(100),
            max: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            attempt_timeout: None,
            budget_ratio: 0.2,
            budget_reserve: 20,
        }
    }
}

/// When a server set is left alone for a while.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// Failures of the connection within the window that open the circuit; 0 means never. 5.
    pub failures: u32,
    /// How long a failure counts. 30 s.
    pub window: Duration,
    /// How long the circuit stays open before one call may probe. 10 s.
    pub open: Duration,
}

impl Default for BreakerSettings {
    fn default() -> BreakerSettings {
        BreakerSettings {
            failures: 5,
            window: Duration::from_secs(30),
            open: Duration::from_secs(10),
        }
    }
}

/// How many operations may be under way.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BulkheadSettings {
    /// Operations at the same time; without it as many as the pool has connections. None.
    pub max_concurrent: Option<u32>,
    /// How long an operation waits for its turn. 5 s.
    pub max_wait: Duration,
}

impl Default for BulkheadSettings {
    fn default() -> BulkheadSettings {
        BulkheadSettings { max_concurrent: None, max_wait: Duration::from_secs(5) }
    }
}

impl ResilienceSettings {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// A sentence that names the setting and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        let retry = &self.retry;
        let demands = [
            (retry.attempts >= 1, "retry attempts must be at least 1"),
            (retry.attempts <= 100, "retry attempts must be at most 100"),
            (retry.base <= retry.max, "the retry base must not exceed the retry maximum"),
            (!retry.deadline.is_zero(), "the deadline must be above zero"),
            (
                retry.attempt_timeout != Some(Duration::ZERO),
                "the attempt timeout must be above zero",
            ),
            (
                retry.budget_ratio.is_finite() && retry.budget_ratio >= 0.0,
                "the retry budget must be a number from zero up",
            ),
            (
                self.bulkhead.max_concurrent != Some(0),
                "the number of concurrent operations must be at least 1",
            ),
        ];
        match demands.iter().find(|(holds, _)| !holds) {
            Some((_, demand)) => Err((*demand).to_owned()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_environment_table() {
        let settings = ResilienceSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!((settings.retry.attempts, settings.breaker.failures), (3, 5));
        assert_eq!(settings.retry.deadline, Duration::from_secs(30));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut settings = ResilienceSettings::default();
        settings.retry.attempts = 0;
        assert!(settings.validate().unwrap_err().contains("attempts"));
        let mut settings = ResilienceSettings::default();
        settings.retry.budget_ratio = f64::NAN;
        assert!(settings.validate().unwrap_err().contains("budget"));
    }
}
