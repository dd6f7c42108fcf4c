//! Aggregation: expressions, accumulators, stages and the pipelines made of them.
//!
//! Knows documents and the [`crate::query::exec::Environment`]. Knows no store, no catalog and no command.

pub mod expressions;
