//! Filters, projections and sorts over documents in memory, without a store.

mod model;
