//! What the outside sees of operations: spans, log lines and metrics, without any document content. The only place
//! that names metrics.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tracing::Span;

use crate::error::Error;
use crate::exposition::circuit_value;
use crate::operation::Operation;
use crate::resilience::breaker::CircuitState;

pub(crate) fn span(operation: &Operation<'_>) -> Span {
    tracing::debug_span!(
        "mongodb",
        operation = operation.name,
        database = operation.database,
        collection = operation.collection,
    )
}

/// An operation ended.
pub(crate) fn finished(operation: &Operation<'_>, took: Duration, error: Option<&Error>) {
    let status = if error.is_none() { "success" } else { "error" };
    counter!("mongodb_operations_total", "operation" => operation.name, "status" => status)
        .increment(1);
    histogram!("mongodb_operation_duration_seconds", "operation" => operation.name).record(took);
    match error {
        None => tracing::debug!(
            operation = operation.name,
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "done"
        ),
        // The text of an error may quote keys; its kind and code do not.
        Some(error) => tracing::error!(
            operation = operation.name,
            kind = %error.kind(),
            code = error.code(),
            attempts = error.attempts(),
            outcome_unknown = error.is_outcome_unknown(),
            "failed"
        ),
    }
}

/// An attempt failed and another one follows.
pub(crate) fn retry(operation: &Operation<'_>, attempts: u32, pause: Duration, error: &Error) {
    counter!("mongodb_retries_total", "operation" => operation.name).increment(1);
    tracing::warn!(
        operation = operation.name,
        attempts,
        pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        kind = %error.kind(),
        code = error.code(),
        "trying again"
    );
}

/// The circuit changed its state: 0 closed, 1 half-open, 2 open.
pub(crate) fn circuit(state: CircuitState) {
    gauge!("mongodb_circuit_state").set(circuit_value(state));
    tracing::info!(?state, "circuit");
}

/// A connection changed its place in the pool.
pub(crate) fn connections(state: &'static str, change: f64) {
    gauge!("mongodb_pool_connections", "state" => state).increment(change);
}

/// A cursor gave so many documents.
pub(crate) fn streamed(documents: u64) {
    counter!("mongodb_stream_documents_total").increment(documents);
}

/// Somebody waited for a connection.
pub(crate) fn pool_wait(waited: Duration) {
    histogram!("mongodb_pool_wait_seconds").record(waited);
}
