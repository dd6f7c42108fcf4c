//! The engine's integration tests, one binary.

mod bson;
mod query;
mod update;
