//! Filters, projections and sorts over documents in memory, without a store.

mod failures;
pub(crate) mod model;
mod recorded;
