//! The binary as a shell sees it: options, log, signals, exit codes.

mod demo;
mod logged;
mod process;
mod serve;
