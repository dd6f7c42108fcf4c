//! What the engine tells of its own doing: explain, uses of indexes, the profiler.

mod explain;
mod index_stats;
mod profile;
