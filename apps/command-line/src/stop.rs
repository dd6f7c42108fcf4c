//! When a program that runs without end is to end: a signal, the time given, or another part of it that is done.

use std::time::Duration;

use tokio::sync::watch;

use crate::error::Result;

/// Why a program was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal or a key.
    Interrupt,
    /// The time is up, or there is nothing left to do.
    Done,
}

/// Told to everyone who has to end. Clones hear the same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use command_line::stop::{Cause, Stop};
/// let (stopper, mut stop) = Stop::new();
/// assert_eq!(stop.cause(), None);
/// stopper.stop(Cause::Done);
/// assert_eq!(stop.wait().await, Cause::Done);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Stop {
    cause: watch::Receiver<Option<Cause>>,
}

/// Tells all clones of its [`Stop`] to end.
#[derive(Debug, Clone)]
pub struct Stopper {
    cause: watch::Sender<Option<Cause>>,
}

/// Lets work run that may be broken off anywhere.
///
/// # Errors
/// Those of the work; none if it was broken off.
pub async fn until_stopped(work: impl Future<Output = Result<()>>, mut stop: Stop) -> Result<()> {
    tokio::select! {
        result = work => result,
        _ = stop.wait() => Ok(()),
    }
}

impl Stop {
    /// A stop and the hand that pulls it.
    pub fn new() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(None);
        (Stopper { cause: sender }, Stop { cause: receiver })
    }

    /// The cause, once there is one.
    pub fn cause(&self) -> Option<Cause> {
        *self.cause.borrow()
    }

    /// Returns when it is time to end; never if nobody can tell any more.
    pub async fn wait(&mut self) -> Cause {
        let cause = match self.cause.wait_for(Option::is_some).await {
            Ok(cause) => *cause,
            Err(_) => None,
        };
        match cause {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }
}

impl Stopper {
    /// Tells everyone to end. The first cause stays.
    pub fn stop(&self, cause: Cause) {
        self.cause.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(cause);
            first
        });
    }

    /// Tells everyone to end after some time.
    pub fn stop_after(&self, time: Duration) {
        let stopper = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            stopper.stop(Cause::Done);
        });
    }

    /// Stops when the process gets an interrupt, a hang-up or a request to terminate. A second one ends the process at
    /// once with exit code 1, after `last`, which puts right what must not stay as it is.
    ///
    /// # Errors
    /// The signals cannot be watched.
    pub fn on_signals(&self, last: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let stopper = self.clone();
        tokio::spawn(async move {
            for _ in 0..2 {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                stopper.stop(Cause::Interrupt);
            }
            last();
            std::process::exit(1);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn the_first_cause_is_heard_by_all() {
        let (stopper, mut stop) = Stop::new();
        let mut other = stop.clone();
        assert_eq!(stop.cause(), None);
        stopper.stop(Cause::Done);
        stopper.stop(Cause::Interrupt);
        assert_eq!(stop.wait().await, Cause::Done);
        assert_eq!(other.wait().await, Cause::Done);
    }

    #[tokio::test]
    async fn work_ends_with_its_result_or_is_broken_off() {
        let (stopper, stop) = Stop::new();
        let failed = until_stopped(async { Err(Error::failed("so")) }, stop.clone()).await;
        assert_eq!(failed.unwrap_err().to_string(), "Error: so");
        stopper.stop_after(Duration::from_millis(10));
        until_stopped(std::future::pending(), stop).await.unwrap();
    }
}
