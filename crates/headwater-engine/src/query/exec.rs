//! Running: the pull model that find plans and aggregation stages share.
//!
//! A stage owns the stage before it. Nothing in a stage borrows from the store, so that a cursor can keep its stages
//! between `getMore`s while no snapshot is held; what a stage needs of the engine it asks of the [`Environment`]
//! that every call brings.

use std::path::Path;

use super::crew::Crew;
use super::scan::{Scan, Visit};
use crate::bson::{Doc, DocBuf};
use crate::collation::ValueOrder;
use crate::engine::operations::Wanted;
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::sizes::Sizes;

/// One step of a running plan or pipeline: gives documents one by one.
pub trait Stage: Send {
    /// The next document, `None` at the end. After the end or an error it is not called again, except on stages
    /// that tail (capped collections, change streams), where `None` means 'nothing for now'.
    ///
    /// # Errors
    /// What evaluating the stage can raise, and the interruptions of [`Environment::check`].
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>>;

    /// Whether it is known, without asking for one, that there is no further document.
    fn is_done(&self) -> bool {
        false
    }

    /// Shows the documents that are left until `show` wants no more, for who only looks at most of them: where they come
    /// from a store they are not copied. The last one that was shown does not come again. Not for stages that tail.
    ///
    /// # Errors
    /// As [`Stage::next`], and what `show` raises.
    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        while let Some(doc) = self.next(env)? {
            if show(doc.as_doc())? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    /// As [`Stage::stream`], all documents that are left.
    ///
    /// # Errors
    /// As [`Stage::next`], and what `visit` raises.
    fn each(
        &mut self,
        env: &dyn Environment,
        visit: &mut dyn FnMut(Doc<'_>) -> Result<()>,
    ) -> Result<()> {
        self.stream(env, &mut |doc| visit(doc).map(|()| Flow::Continue))
    }

    /// Has a crew of several threads take in all documents that are left, if that is possible and worth it; says whether
    /// the crew took in all of them. If not, the stage is as it was.
    ///
    /// # Errors
    /// Those of the store.
    fn share(&mut self, _env: &dyn Environment, _crew: &dyn Crew) -> Result<bool> {
        Ok(false)
    }
}

/// Looks at a document of a stage.
pub type Look<'f> = dyn FnMut(Doc<'_>) -> Result<Flow> + 'f;

/// Whether who looks at documents wants further ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Continue,
    /// No more for now.
    Stop,
}

/// What running stages may ask of the engine. A view of one moment: one snapshot, one deadline.
pub trait Environment {
    /// Fails if the operation's time is up or it was killed. Called about once per document; cheap.
    ///
    /// # Errors
    /// `MaxTimeMSExpired` (50), `Interrupted` (11601).
    fn check(&self) -> Result<()>;

    /// The documents of another collection or view, in natural order, restricted by `filter` where it is not empty; texts in
    /// the filter compare by `order`. A collection that does not exist has no documents.
    ///
    /// # Errors
    /// A filter that does not parse; a view that cannot be resolved.
    fn open(
        &self,
        db: &str,
        collection: &str,
        filter: Doc<'_>,
        order: &ValueOrder,
    ) -> Result<Box<dyn Stage>>;

    /// Whether an index of a collection finds its documents by the value of a field, whatever the value.
    fn has_index(&self, _db: &str, _collection: &str, _field: &str, _order: &ValueOrder) -> bool {
        false
    }

    /// The sizes of a collection; `None` if there is none of that name. Only a view of a store has them.
    ///
    /// # Errors
    /// Those of the store.
    fn sizes(&self, _db: &str, _collection: &str) -> Result<Option<Sizes>> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no store"))
    }

    /// The rows of `$indexStats`, none for a collection that does not exist.
    ///
    /// # Errors
    /// An environment without a catalog.
    fn index_uses(&self, _db: &str, _collection: &str) -> Result<Vec<DocBuf>> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no catalog"))
    }

    /// What is remembered of how queries on a collection were planned, as `$planCacheStats` shows it; `None` for a
    /// collection that does not exist.
    ///
    /// # Errors
    /// An environment without a catalog; those of the store.
    fn cached_plans(&self, _db: &str, _collection: &str) -> Result<Option<Vec<DocBuf>>> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no catalog"))
    }

    /// The ids of the sessions that the node knows, with the milliseconds since 1970 when each was used last.
    ///
    /// # Errors
    /// An environment without sessions.
    fn sessions(&self) -> Result<Vec<([u8; 16], i64)>> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no sessions"))
    }

    /// The commands under way, and what else is wanted, as `currentOp` shows them.
    ///
    /// # Errors
    /// An environment without commands.
    fn operations(&self, _wanted: Wanted) -> Result<Vec<DocBuf>> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no operations"))
    }

    /// The folder for what does not fit into memory; `None` if nothing may go to the disk.
    fn spill_folder(&self) -> Option<&Path> {
        None
    }

    /// Memory that a stage may take before it uses the disk, in bytes.
    fn stage_bytes_max(&self) -> usize {
        STAGE_MEMORY_BYTES_MAX
    }

    /// Has a crew take in a scan that has not begun, if it is large and the view is one that threads can share; says
    /// whether the crew took in all of it. If not, the scan is as it was.
    ///
    /// # Errors
    /// Those of the store.
    fn scan_shared(&self, _scan: &mut Scan, _crew: &dyn Crew) -> Result<bool> {
        Ok(false)
    }

    /// Runs a scan on this view. Only a view of a store can.
    ///
    /// # Errors
    /// Those of [`Scan::run`].
    fn scan(&self, _scan: &mut Scan, _visit: &mut Visit<'_>) -> Result<()> {
        Err(Error::new(Code::INTERNAL_ERROR, "this environment has no store"))
    }
}

/// No documents at all.
#[derive(Debug)]
pub struct Nothing;

impl Stage for Nothing {
    fn next(&mut self, _env: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(None)
    }
}

/// Documents that are there already.
#[derive(Debug)]
pub struct Ready(std::vec::IntoIter<DocBuf>);

impl Ready {
    /// These documents, in their order.
    pub fn new(documents: Vec<DocBuf>) -> Ready {
        Ready(documents.into_iter())
    }
}

impl Stage for Ready {
    fn next(&mut self, _env: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(self.0.next())
    }
}
