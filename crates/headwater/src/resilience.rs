//! The layer that every operation passes through: deadline, bulkhead, circuit breaker, retry. Knows nothing of what an
//! operation does.

pub(crate) mod settings;
