//! The layer that every operation passes through: deadline, bulkhead, circuit breaker, retry. Knows nothing of what an
//! operation does beyond its [`Operation`].

pub(crate) mod breaker;
mod budget;
pub(crate) mod settings;
pub(crate) mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use self::breaker::{Breaker, CircuitState};
use self::budget::Budget;
pub(crate) use self::budget::pause;
use self::settings::ResilienceSettings;
use self::trace::{Trace, traced};
use crate::error::classify::Family;
use crate::error::kind::{ConnectionFailure, ErrorKind};
use crate::error::{Error, Result};
use crate::observe;
use crate::operation::{Operation, Safety};
use crate::servers::ServerWatch;
use crate::statistics::Statistics;

/// More calls at once than there can be.
const CALLS_MAX: u32 = u32::MAX >> 3;

/// What all operations of one connector share.
pub(crate) struct Resilience {
    settings: ResilienceSettings,
    breaker: Breaker,
    budget: Budget,
    turns: Semaphore,
    /// Calls under way hold one each; who wants to close takes all.
    calls: Semaphore,
    closing: AtomicBool,
    servers: Arc<ServerWatch>,
    statistics: Statistics,
}

/// What an attempt may fail with: the driver's error or ours.
pub(crate) trait Failure {
    fn into_error(self, family: Family) -> Error;
}

impl Failure for Error {
    fn into_error(self, _: Family) -> Error {
        self
    }
}

impl Failure for mongodb::error::Error {
    fn into_error(self, family: Family) -> Error {
        Error::of_driver(self, family)
    }
}

/// What is known of a call's attempts so far.
#[derive(Default)]
struct Tally {
    attempts: u32,
    /// An attempt was sent and not answered.
    unanswered: bool,
    /// An attempt before the last one was sent and not answered.
    sent_before: bool,
    last: Option<Error>,
}

impl Resilience {
    /// `connections` is how many the pool may have, which is how many operations there may be unless the settings say.
    pub(crate) fn new(
        settings: ResilienceSettings,
        connections: u32,
        servers: Arc<ServerWatch>,
    ) -> Resilience {
        let turns = settings.bulkhead.max_concurrent.unwrap_or(connections).max(1) as usize;
        Resilience {
            breaker: Breaker::new(settings.breaker.clone()),
            budget: Budget::new(&settings.retry),
            turns: Semaphore::new(turns.min(Semaphore::MAX_PERMITS)),
            calls: Semaphore::new(CALLS_MAX as usize),
            closing: AtomicBool::new(false),
            settings,
            servers,
            statistics: Statistics::default(),
        }
    }

    pub(crate) fn settings(&self) -> &ResilienceSettings {
        &self.settings
    }

    pub(crate) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) fn circuit(&self) -> CircuitState {
        self.breaker.state()
    }

    pub(crate) fn set_circuit(&self, state: CircuitState) {
        self.breaker.set(state);
        observe::circuit(state);
    }

    /// Cursors gave so many documents.
    pub(crate) fn note_streamed(&self, documents: u64) {
        self.statistics.note_streamed(documents);
        observe::streamed(documents);
    }

    /// Lets no further call begin and waits for those under way. False if some were left at the time given.
    pub(crate) async fn drain(&self, until: Instant) -> bool {
        self.closing.store(true, Ordering::Release);
        let ended = timeout_at(until, self.calls.acquire_many(CALLS_MAX)).await.is_ok();
        self.calls.close();
        ended
    }

    #[cfg(feature = "http")]
    /// True from the moment that no further call may begin.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Runs an operation: `call` makes one attempt each time.
    ///
    /// Dropping the future stops at once, whatever it waits for.
    pub(crate) async fn run<T, E, F, Fut>(&self, operation: Operation<'_>, call: F) -> Result<T>
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, E>> + Send,
        E: Failure + Send,
        T: Send,
    {
        let begun = Instant::now();
        let span = observe::span(&operation);
        let result = self.guarded(&operation, begun, call).instrument(span).await;
        let result = result.map_err(|error| error.at(operation.name, operation.namespace()));
        let took = begun.elapsed();
        let figures = self.statistics.figures(operation.name);
        figures.note(took, result.is_ok());
        observe::finished(&operation, figures.metrics(), took, result.as_ref().err());
        result
    }

    /// The breaker around all attempts of a call.
    async fn guarded<T, E, F, Fut>(
        &self,
        operation: &Operation<'_>,
        begun: Instant,
        call: F,
    ) -> Result<T>
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, E>> + Send,
        E: Failure + Send,
        T: Send,
    {
        let _call = self.calls.try_acquire().map_err(|_| closed())?;
        let pass = self.breaker.admit().map_err(Error::circuit_open)?;
        if pass.is_probe() {
            observe::circuit(CircuitState::HalfOpen);
        }
        self.budget.deposit();
        let result = self.attempts(operation, begun, call).await;
        let changed = match &result {
            Err(error) if is_connection_class(error) => pass.failed(),
            // Neither an answer nor the connection's fault: a deadline, or no free connection.
            Err(error) if !error.is_reply() => false,
            _ => pass.answered(),
        };
        if changed {
            observe::circuit(self.breaker.state());
        }
        result
    }

    async fn attempts<T, E, F, Fut>(
        &self,
        operation: &Operation<'_>,
        begun: Instant,
        call: F,
    ) -> Result<T>
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, E>> + Send,
        E: Failure + Send,
        T: Send,
    {
        let deadline = begun + operation.deadline.unwrap_or(self.settings.retry.deadline);
        let mut tally = Tally::default();
        loop {
            let (result, trace) = self.attempt(operation, deadline, &call).await;
            let driver = trace.asked.clamp(1, operation.safety.driver_attempts());
            self.budget.charge(driver - 1);
            tally.attempts += driver;
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => self.servers.explain(error),
            };
            tally.sent_before = tally.unanswered;
            tally.unanswered |= trace.got > 0 && error.lacks_answer();
            let again = self.may_try_again(operation.safety, &error, trace, &tally);
            let pause = pause(&self.settings.retry, tally.attempts);
            if !again || Instant::now() + pause >= deadline || !self.budget.withdraw() {
                return Err(tally.close(operation.safety, error, trace));
            }
            self.statistics.note_retry(operation.name);
            observe::retry(operation, tally.attempts, pause, &error);
            tally.last = Some(error);
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt: waits for its turn, calls, and gives up at the deadline.
    async fn attempt<T, E, F, Fut>(
        &self,
        operation: &Operation<'_>,
        deadline: Instant,
        call: &F,
    ) -> (Result<T>, Trace)
    where
        F: Fn() -> Fut + Send,
        Fut: Future<Output = std::result::Result<T, E>> + Send,
        E: Failure + Send,
        T: Send,
    {
        let _turn = match self.turn(deadline).await {
            Ok(turn) => turn,
            Err(error) => return (Err(error), Trace::default()),
        };
        let own = self.settings.retry.attempt_timeout.map(|most| Instant::now() + most);
        let limit = own.map_or(deadline, |own| own.min(deadline));
        let (result, trace) = traced(timeout_at(limit, call())).await;
        let result = match result {
            Ok(result) => result.map_err(|error| error.into_error(operation.family)),
            Err(_) if limit < deadline => Err(Error::connection(
                ConnectionFailure::Timeout,
                "no server answered the attempt in time",
            )),
            Err(_) if trace == Trace::default() => {
                Err(Error::new(ErrorKind::Deadline, self.servers.tell(late(trace))))
            }
            Err(_) => Err(Error::new(ErrorKind::Deadline, late(trace))),
        };
        (result, trace)
    }

    async fn turn(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let limit = deadline.min(Instant::now() + self.settings.bulkhead.max_wait);
        match timeout_at(limit, self.turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(Error::connection(
                ConnectionFailure::PoolWait,
                "all connections were in use for too long",
            )),
        }
    }

    fn may_try_again(&self, safety: Safety, error: &Error, trace: Trace, tally: &Tally) -> bool {
        let left = self.settings.retry.attempts.saturating_sub(tally.attempts);
        let needed = safety.driver_attempts().min(self.settings.retry.attempts);
        if left < needed || !error.is_retryable() {
            return false;
        }
        let nothing_sent = trace.got == 0 && !error.is_reply();
        // After more than one attempt of the driver the refusal is that of the last one only.
        let nothing_done = error.is_not_done() && trace.got <= 1;
        safety.again_after_sent() || ((nothing_sent || nothing_done) && !tally.unanswered)
    }
}

impl Tally {
    /// The error that a call ends with.
    fn close(self, safety: Safety, error: Error, trace: Trace) -> Error {
        // A deadline that passes while nothing is under way says less than what failed before.
        let error = match self.last {
            Some(last) if error.kind() == ErrorKind::Deadline && trace.asked == 0 => last,
            _ => error,
        };
        let unknown = !safety.is_read()
            && if error.is_reply() {
                // An answer speaks for its own attempt; for one of the same number before it only if it was executed.
                let refused_again = trace.got > 1 && error.is_retryable();
                is_interrupted(&error) || refused_again || self.sent_before
            } else {
                self.unanswered
            };
        error.after(self.attempts, unknown, self.sent_before)
    }
}

/// The server gave up a write that was under way.
fn is_interrupted(error: &Error) -> bool {
    let is_command = !matches!(error.kind(), ErrorKind::WriteConcern | ErrorKind::Bulk);
    is_command && error.is_retryable() && !error.is_not_done()
}

/// Failures that say something about the servers' health; an answer of any kind does not.
fn is_connection_class(error: &Error) -> bool {
    use ConnectionFailure::{Authentication, Closed, PoolWait};
    match error.kind() {
        ErrorKind::Connection(Authentication | Closed | PoolWait) => false,
        ErrorKind::Connection(_) | ErrorKind::ServerSelection => !error.is_reply(),
        _ => false,
    }
}

#[cold]
fn closed() -> Error {
    Error::connection(ConnectionFailure::Closed, "the connector was closed")
}

fn late(trace: Trace) -> &'static str {
    match trace {
        Trace { got: 0, asked: 0 } => "no suitable server was found before the deadline",
        Trace { got: 0, .. } => "no connection could be had before the deadline",
        _ => "no answer came before the deadline",
    }
}

/// The part of the deadline that choosing a server may take, so that its own error comes first: it says more.
pub(crate) fn selection_limit(asked: Duration, deadline: Duration) -> Duration {
    asked.min(deadline - deadline / 20)
}
