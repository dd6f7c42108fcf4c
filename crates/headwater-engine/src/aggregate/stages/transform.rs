//! Stages that make of each document at most one other, knowing nothing of those before and after.

use std::sync::Arc;

use crate::bson::DocBuf;
use crate::error::Result;
use crate::query::exec::{Environment, Stage};

/// What such a stage does with a document.
pub(super) trait Transform: Send + Sync {
    /// The document that takes the place of `doc`, `None` to drop it.
    fn apply(&self, doc: DocBuf) -> Result<Option<DocBuf>>;
}

/// A run of such a stage.
pub(super) struct Transforming<T> {
    spec: Arc<T>,
    source: Box<dyn Stage>,
}

impl<T: Transform> Transforming<T> {
    pub(super) fn new(spec: Arc<T>, source: Box<dyn Stage>) -> Transforming<T> {
        Transforming { spec, source }
    }
}

impl<T: Transform> Stage for Transforming<T> {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        while let Some(doc) = self.source.next(env)? {
            if let Some(doc) = self.spec.apply(doc)? {
                return Ok(Some(doc));
            }
        }
        Ok(None)
    }

    fn is_done(&self) -> bool {
        self.source.is_done()
    }
}
