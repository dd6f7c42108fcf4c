//! The way of what was kept into `system.profile`: a capped collection that is made when it is first needed. Change streams
//! see nothing of it.

use super::{COLLECTION, Profiler};
use crate::bson::{DocBuf, DocWriter};
use crate::commands::insert_kept;
use crate::engine::Shared;
use crate::error::Result;
use crate::limits::PROFILE_BYTES;
use crate::namespace::Namespace;

impl Profiler {
    /// Writes what waits. Must be called where the thread may wait for the writer.
    ///
    /// # Errors
    /// Those of the store.
    pub fn flush(&self, shared: &Shared) -> Result<()> {
        let entries = self.take();
        if entries.is_empty() {
            return Ok(());
        }
        let mut guard = shared.write()?;
        for (db, document) in entries {
            let namespace = Namespace::new(&db, COLLECTION);
            insert_kept(shared, &mut guard, &namespace, &options, document.as_doc())?;
        }
        Ok(())
    }
}

/// The options that the collection is made with.
fn options() -> DocBuf {
    let mut options = DocWriter::new();
    options.bool("capped", true);
    options.i32("size", PROFILE_BYTES);
    options.finish()
}
