//! Aggregation: expressions, accumulators, stages and the pipelines made of them.
//!
//! Knows documents and the [`crate::query::exec::Environment`]. Knows no store, no catalog and no command.

pub mod accumulators;
mod depth;
mod effort;
pub mod expressions;
mod moves;
pub mod pipeline;
pub(crate) mod random;
pub mod stages;
pub mod strict;
mod wanted;

pub use effort::Aggregation;
