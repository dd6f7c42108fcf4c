//! The ticker's acceptance list, run with the real binary on a database inside this process, or on one that is killed.
//!
//! Tests cite the numbers of the ticker's requirements: T for the acceptance list, B for what must be better than in
//! the original. `HEADWATER_LONG=1` runs T12 and T13 at their full length.

mod binary;
mod commands;
mod failures;
mod market;
#[path = "../../../../crates/headwater/tests/it/process.rs"]
mod process;
mod pty;
mod screen;
mod streams;
mod web;
