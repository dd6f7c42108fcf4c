//! Tells every connection that the server is about to stop, at no cost while it isn't.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// The server's side.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    begun: AtomicBool,
    wake: Arc<Notify>,
}

impl Shutdown {
    /// Begins: from now on [`Watch::poll`] answers true, and whoever watches is woken.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }
}

/// A connection's side. Registers its task's waker once, so asking again costs one load.
#[derive(Debug)]
pub(crate) struct Watch {
    shutdown: Arc<Shutdown>,
    woken: Option<Pin<Box<OwnedNotified>>>,
}

impl Watch {
    pub(crate) fn new(shutdown: Arc<Shutdown>) -> Watch {
        Watch { shutdown, woken: None }
    }

    /// Whether the shutdown has begun. If not, the task of `cx` is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.woken.is_none() {
            let mut woken = Box::pin(Arc::clone(&self.shutdown.wake).notified_owned());
            let _ = woken.as_mut().poll(cx);
            self.woken = Some(woken);
        }
        self.has_begun()
    }

    /// Whether the shutdown has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.shutdown.begun.load(Ordering::SeqCst)
    }
}
