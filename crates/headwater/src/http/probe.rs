//! Pings for the monitor: at most 2 s each, the last one remembered. Knows no HTTP.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connector::Headwater;

/// How long a check may take.
const PING_MAX: Duration = Duration::from_secs(2);
/// For how long a ping that passed counts.
const PING_AGE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Probe {
    headwater: Headwater,
    /// When the last ping passed, unless one has failed since.
    passed: Mutex<Option<Instant>>,
}

impl Probe {
    pub(super) fn new(headwater: Headwater) -> Probe {
        Probe { headwater, passed: Mutex::new(None) }
    }

    pub(super) fn headwater(&self) -> &Headwater {
        &self.headwater
    }

    /// Asks now.
    pub(super) async fn ping(&self) -> Result<(), String> {
        let result = self.headwater.ping_within(PING_MAX).await;
        *self.passed.lock() = result.is_ok().then(Instant::now);
        // An error of the connector never shows a secret.
        result.map_err(|error| error.to_string())
    }

    /// Asks only if no ping has passed lately.
    pub(super) async fn recent_ping(&self) -> Result<(), String> {
        let recent = self.passed.lock().is_some_and(|passed| passed.elapsed() <= PING_AGE_MAX);
        if recent { Ok(()) } else { self.ping().await }
    }
}
