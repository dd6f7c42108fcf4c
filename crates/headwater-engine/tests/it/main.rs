//! The engine's integration tests, one binary.

mod aggregate;
mod bson;
mod commands;
mod indexed;
mod query;
mod update;
