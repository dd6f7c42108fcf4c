//! What the outside sees of operations: spans, log lines and metrics, without any document content. The only place
//! that names metrics.

use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, counter, gauge, histogram, with_recorder};
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

/// The metrics of one kind of operation by name, made once: an operation should not pay for strings.
pub(crate) struct OperationMetrics {
    success: Key,
    error: Key,
    duration: Key,
}

static METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl OperationMetrics {
    pub(crate) fn new(operation: &'static str) -> OperationMetrics {
        let label = || Label::from_static_parts("operation", operation);
        let total = |status| {
            let labels = vec![label(), Label::from_static_parts("status", status)];
            Key::from_parts("mongodb_operations_total", labels)
        };
        OperationMetrics {
            success: total("success"),
            error: total("error"),
            duration: Key::from_parts("mongodb_operation_duration_seconds", vec![label()]),
        }
    }

    fn record(&self, took: Duration, succeeded: bool) {
        let total = if succeeded { &self.success } else { &self.error };
        with_recorder(|recorder| {
            recorder.register_counter(total, &METADATA).increment(1);
            recorder.register_histogram(&self.duration, &METADATA).record(took);
        });
    }
}

/// An operation ended.
pub(crate) fn finished(
    operation: &Operation<'_>,
    metrics: &OperationMetrics,
    took: Duration,
    error: Option<&Error>,
) {
    metrics.record(took, error.is_none());
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

/// The pool has a connection more or less.
pub(crate) fn open_connections(change: f64) {
    gauge!("mongodb_pool_connections", "state" => "open").increment(change);
}

/// A connection more or less runs an operation.
pub(crate) fn connections_in_use(change: f64) {
    gauge!("mongodb_pool_connections", "state" => "in_use").increment(change);
}

/// A cursor gave so many documents.
pub(crate) fn streamed(documents: u64) {
    counter!("mongodb_stream_documents_total").increment(documents);
}

/// Somebody waited for a connection.
pub(crate) fn pool_wait(waited: Duration) {
    histogram!("mongodb_pool_wait_seconds").record(waited);
}
