//! The engine's integration tests, one binary.

mod aggregate;
mod bson;
mod commands;
mod crash;
mod indexed;
mod query;
mod update;
