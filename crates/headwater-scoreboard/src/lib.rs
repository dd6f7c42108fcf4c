//! The scoreboard: every recorded reply of MongoDB's own engine against Headwater, in this process and over the wire.
//!
//! Uses the engine's public interface only, and the `headwater` binary as any client would. What may fail for now is
//! listed in `testdata/oracle-skip.txt`.

pub mod compare;
pub mod embedded;
pub mod pool;
pub mod recording;
pub mod run;
pub mod skips;
pub mod tally;
pub mod wire;
