//! The monitor on a loopback address of its own. Knows addresses and the end, not what is answered.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Monitor;

/// How long a reply may still take when the server ends.
const STOP_MAX: Duration = Duration::from_secs(2);

/// A running server of [`Monitor::serve`]; it ends when this is dropped.
#[derive(Debug)]
pub struct MonitorServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Monitor {
    /// Answers on a loopback address, for an application without a router of its own. Port 0 takes any free one.
    ///
    /// To be reached from other machines, mount [`Monitor::router`] into a server that knows whom it lets in.
    ///
    /// # Errors
    /// The address is not a loopback address, or is taken.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use headwater::Headwater;
    /// use headwater::http::Monitor;
    ///
    /// let monitor = Monitor::new(Headwater::open_in_memory().await?);
    /// let server = monitor.serve("127.0.0.1:0".parse()?).await?;
    /// println!("curl http://{}/health", server.address());
    /// server.stop().await;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn serve(&self, address: SocketAddr) -> io::Result<MonitorServer> {
        if !address.ip().is_loopback() {
            let message = format!("{address} is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, self.router()).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Ok(MonitorServer { address, stop: Some(stop), task: tokio::spawn(serve.into_future()) })
    }
}

impl MonitorServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the replies under way, for 2 s at most, and ends.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(STOP_MAX, &mut self.task).await;
    }
}

impl Drop for MonitorServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
