//! What fuzz targets need beside the crates they try: a disk in memory for the store's log, and a second reader of its format.

pub mod disk;
pub mod log;
