//! The circuit breaker of one server set: closed, open, half-open. Counts what it is told; knows no operations.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::settings::BreakerSettings;

/// While a probe takes its time the others are told to stay away for at least this share of the open time: whoever
/// follows a pause of zero asks in a tight loop.
const PAUSE_SHARE_MIN: u32 = 10;

/// The state of the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// One call goes through to try; the others fail at once.
    HalfOpen,
    /// Calls fail at once.
    Open,
}

/// Counts failures of the connection and stops calls for a while when there are too many.
pub(crate) struct Breaker {
    settings: BreakerSettings,
    circuit: Mutex<Circuit>,
}

enum Circuit {
    Closed { failures: VecDeque<Instant> },
    Open { since: Instant },
    HalfOpen { probe_since: Instant },
}

/// Leave to call. Whoever holds it says how it went; dropped without a word it says nothing.
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Breaker {
        let circuit = Mutex::new(Circuit::Closed { failures: VecDeque::new() });
        Breaker { settings, circuit }
    }

    /// Leave to call, or the time until the next probe.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Duration> {
        let mut circuit = self.circuit.lock();
        match *circuit {
            Circuit::Closed { .. } => Ok(Pass { breaker: self, is_probe: false }),
            Circuit::Open { since } => {
                let passed = since.elapsed();
                if passed < self.settings.open {
                    return Err(self.settings.open - passed);
                }
                *circuit = Circuit::HalfOpen { probe_since: Instant::now() };
                Ok(Pass { breaker: self, is_probe: true })
            }
            Circuit::HalfOpen { probe_since } => {
                let open = self.settings.open;
                Err(open.saturating_sub(probe_since.elapsed()).max(open / PAUSE_SHARE_MIN))
            }
        }
    }

    pub(crate) fn state(&self) -> CircuitState {
        match *self.circuit.lock() {
            Circuit::Closed { .. } => CircuitState::Closed,
            Circuit::Open { .. } => CircuitState::Open,
            Circuit::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Puts the circuit into a state. Half-open means open with the next call as the probe.
    pub(crate) fn set(&self, state: CircuitState) {
        let now = Instant::now();
        *self.circuit.lock() = match state {
            CircuitState::Closed => Circuit::Closed { failures: VecDeque::new() },
            CircuitState::Open => Circuit::Open { since: now },
            CircuitState::HalfOpen => {
                Circuit::Open { since: now.checked_sub(self.settings.open).unwrap_or(now) }
            }
        };
    }

    fn record_failure(&self) -> bool {
        if self.settings.failures == 0 {
            return false;
        }
        let now = Instant::now();
        let mut circuit = self.circuit.lock();
        if let Circuit::Closed { failures } = &mut *circuit {
            failures.push_back(now);
            while failures.front().is_some_and(|at| now - *at > self.settings.window) {
                failures.pop_front();
            }
            if failures.len() >= self.settings.failures as usize {
                *circuit = Circuit::Open { since: now };
                return true;
            }
        }
        false
    }
}

impl Pass<'_> {
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// A server answered, whatever it said. True if that closed the circuit.
    pub(crate) fn answered(mut self) -> bool {
        let was_probe = std::mem::take(&mut self.is_probe);
        if was_probe {
            *self.breaker.circuit.lock() = Circuit::Closed { failures: VecDeque::new() };
        }
        was_probe
    }

    /// The connection failed. True if that opened the circuit.
    pub(crate) fn failed(mut self) -> bool {
        if std::mem::take(&mut self.is_probe) {
            *self.breaker.circuit.lock() = Circuit::Open { since: Instant::now() };
            return true;
        }
        self.breaker.record_failure()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // A probe that was given up leaves its turn to the next call.
        if self.is_probe {
            self.breaker.set(CircuitState::HalfOpen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(failures: u32, window_ms: u64, open_ms: u64) -> Breaker {
        let (window, open) = (Duration::from_millis(window_ms), Duration::from_millis(open_ms));
        Breaker::new(BreakerSettings { failures, window, open })
    }

    fn fail(breaker: &Breaker) {
        breaker.admit().ok().unwrap().failed();
    }

    /// As if everything had happened so much earlier.
    fn wait(breaker: &Breaker, time_ms: u64) {
        let earlier = |at: &mut Instant| *at -= Duration::from_millis(time_ms);
        match &mut *breaker.circuit.lock() {
            Circuit::Closed { failures } => failures.iter_mut().for_each(earlier),
            Circuit::Open { since: at } | Circuit::HalfOpen { probe_since: at } => earlier(at),
        }
    }

    #[test]
    fn r4_opens_at_the_fifth_failure_and_lets_one_probe_through() {
        let breaker = breaker(5, 30_000, 10_000);
        (0..4).for_each(|_| fail(&breaker));
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
        assert!(breaker.admit().err().unwrap() <= Duration::from_secs(10));
        wait(&breaker, 10_000);
        let probe = breaker.admit().ok().unwrap();
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        assert!(breaker.admit().is_err());
        wait(&breaker, 10_000);
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(1)), "a slow probe");
        probe.answered();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[test]
    fn r4_a_failed_probe_opens_again_and_one_given_up_leaves_its_turn() {
        let breaker = breaker(1, 30_000, 10_000);
        fail(&breaker);
        breaker.set(CircuitState::HalfOpen);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
        assert!(breaker.admit().is_err());
        breaker.set(CircuitState::HalfOpen);
        drop(breaker.admit().ok().unwrap());
        breaker.admit().ok().unwrap().answered();
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[test]
    fn r4_failures_outside_the_window_do_not_count() {
        let breaker = breaker(2, 5_000, 10_000);
        fail(&breaker);
        wait(&breaker, 6_000);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Closed);
        fail(&breaker);
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}
