//! The orderly end: no further call begins, those under way finish, then everything closes. Knows no operations.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::connector::Headwater;

/// How long an orderly end may take, see R29.
#[cfg(feature = "http")]
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// The part of the limit that is kept for closing connections.
const CLOSING_MAX: Duration = Duration::from_millis(500);

impl Headwater {
    /// Closes in order: from now on calls fail with [`ConnectionFailure::Closed`](crate::ConnectionFailure::Closed),
    /// those under way finish, cursors and change streams that are still held may be read to their end; then the
    /// connections close and the embedded database stops, if this process runs it. What has not ended within the limit
    /// is not waited for any longer.
    ///
    /// True if everything ended. [`Headwater::close`] does not wait.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use std::time::Duration;
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let other = headwater.clone();
    /// assert!(headwater.shutdown(Duration::from_secs(10)).await);
    /// assert!(other.ping().await.is_err());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn shutdown(self, limit: Duration) -> bool {
        let closing = CLOSING_MAX.min(limit / 4);
        let until = Instant::now() + (limit - closing);
        tracing::info!("shutting down");
        let calls_ended = self.0.resilience.drain(until).await;
        // The driver waits for cursors and sessions that somebody holds.
        let released = timeout_at(until, self.0.client.clone().shutdown()).await.is_ok();
        let in_order = calls_ended && released;
        if !in_order {
            tracing::warn!("some operations had not ended at the shutdown");
        }
        // A call that no server answers would be waited for as well.
        let _ = timeout(closing, self.0.client.clone().shutdown().immediate(true)).await;
        #[cfg(feature = "embedded")]
        if let Some(node) = &self.0.node {
            node.stop().await;
        }
        in_order
    }

    /// Waits for a signal to end ([`shutdown_signal`]), then does as [`Headwater::shutdown`] with a limit of 10 s.
    ///
    /// # Errors
    /// The signals cannot be watched; nothing is closed then.
    #[cfg(feature = "http")]
    pub async fn shutdown_on_signal(self) -> std::io::Result<bool> {
        shutdown_signal().await?;
        Ok(self.shutdown(SHUTDOWN_MAX).await)
    }
}

/// Returns when the process is told to end: SIGTERM, as from a container's host, or an interrupt from the terminal.
///
/// # Errors
/// The signals cannot be watched.
#[cfg(all(feature = "http", unix))]
pub async fn shutdown_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Returns when the process is told to end by an interrupt from the terminal.
///
/// # Errors
/// The interrupt cannot be watched.
#[cfg(all(feature = "http", not(unix)))]
pub async fn shutdown_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
