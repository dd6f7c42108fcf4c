//! What the driver did within one attempt: how often it asked its pool for a connection, and whether it got one. The
//! pool's events arrive on the task of the caller, so a task-local value tells whose they are.

use std::cell::Cell;

/// What an attempt did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    /// How often a connection was asked for: the attempts of the driver.
    pub(crate) asked: u32,
    /// How often one was got: from then on the command may have been sent.
    pub(crate) got: u32,
}

tokio::task_local! {
    static TRACE: Cell<Trace>;
}

/// Runs a future and tells what the driver did in it.
pub(crate) async fn traced<T>(future: impl Future<Output = T>) -> (T, Trace) {
    TRACE
        .scope(Cell::new(Trace::default()), async {
            let result = future.await;
            (result, TRACE.with(Cell::get))
        })
        .await
}

/// A connection was asked for on this task.
pub(crate) fn note_asked() {
    let _ = TRACE.try_with(|trace| {
        let seen = trace.get();
        trace.set(Trace { asked: seen.asked + 1, ..seen });
    });
}

/// A connection was got on this task.
pub(crate) fn note_got() {
    let _ = TRACE.try_with(|trace| {
        let seen = trace.get();
        trace.set(Trace { got: seen.got + 1, ..seen });
    });
}
