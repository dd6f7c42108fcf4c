//! Expressions, stages and pipelines over documents in memory, without a store.

mod memory;
mod recorded;
