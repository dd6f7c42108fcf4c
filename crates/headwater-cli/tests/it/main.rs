//! The binary as a shell sees it: options, log, signals, exit codes.

mod demo;
mod process;
mod serve;
