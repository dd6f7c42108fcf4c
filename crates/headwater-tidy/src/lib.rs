//! House rules that run as tests: what they read (the repository's files, `cargo metadata`, the engine's tables).
//!
//! The rules themselves are in `tests/it`. Nothing here is linked into the product, and the product's crates are read
//! as text, never linked: a rule must not depend on what it judges.

pub mod compat;
pub mod edges;
pub mod files;
pub mod tables;
