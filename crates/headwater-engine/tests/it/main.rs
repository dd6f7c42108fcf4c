//! The engine's integration tests, one binary.

mod aggregate;
mod bson;
mod query;
mod update;
