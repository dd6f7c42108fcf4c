//! Filters, projections and sorts over documents in memory, without a store.

mod failures;
mod model;
mod recorded;
