//! Updates against the recorded answers of MongoDB, over documents in memory: no catalog, no store, no commands.

mod collection;
mod describe;
mod random;
mod recorded;
