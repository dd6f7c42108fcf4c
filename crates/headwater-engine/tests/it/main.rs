//! The engine's integration tests, one binary.

mod aggregate;

mod allocations;
mod bombs;
mod bounded;
mod bson;
mod builds;
mod by_id;
mod catalog;
mod commands;
mod crash;
mod fail_points;
mod generated;
mod indexed;
mod insight;
mod joined;
mod moves;
mod pipelines;
mod plans;
mod query;
mod sessions;
mod shared;
mod snapshots;
mod spilling;
mod split_events;
mod streams;
mod ttl;
mod turns;
mod update;
mod validates;
mod watches;
mod writes;
mod written;
