//! Stages that make of each document at most one other, knowing nothing of those before and after.

use std::sync::Arc;

use crate::bson::{Doc, DocBuf, DocWriter};
use crate::error::Result;
use crate::query::crew::{Crew, Share, Walk};
use crate::query::exec::{Environment, Flow, Look, Stage};

/// What such a stage does with a document.
pub(super) trait Transform: Send + Sync {
    /// Writes what takes the place of `doc` to an empty `out`, or says that nothing had to be written.
    fn apply(&self, doc: Doc<'_>, out: &mut DocWriter) -> Result<Outcome>;
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It stays as it is.
    Same,
    /// Another one was written.
    Written,
    /// It is dropped.
    Dropped,
}

/// A run of such a stage.
pub(super) struct Transforming<T> {
    spec: Arc<T>,
    source: Box<dyn Stage>,
    /// Where documents are written that are only shown.
    space: Vec<u8>,
}

impl<T: Transform> Transforming<T> {
    pub(super) fn new(spec: Arc<T>, source: Box<dyn Stage>) -> Transforming<T> {
        Transforming { spec, source, space: Vec::new() }
    }
}

/// Shows what takes the place of a document.
fn transform(
    spec: &impl Transform,
    doc: Doc<'_>,
    space: &mut Vec<u8>,
    show: &mut Look<'_>,
) -> Result<Flow> {
    space.clear();
    let mut out = DocWriter::append_to(std::mem::take(space));
    let outcome = spec.apply(doc, &mut out)?;
    *space = out.into_bytes();
    match outcome {
        Outcome::Same => show(doc),
        Outcome::Written => show(Doc::trusted(space)),
        Outcome::Dropped => Ok(Flow::Continue),
    }
}

/// A crew that takes in what such a stage makes of documents.
struct Behind<'c, T> {
    spec: &'c T,
    crew: &'c dyn Crew,
}

impl<T: Transform> Crew for Behind<'_, T> {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        let mut space = Vec::new();
        self.crew.work(share, &mut |piece, look| {
            walk(piece, &mut |doc| transform(self.spec, doc, &mut space, look))
        })
    }

    fn give_up(&self) {
        self.crew.give_up();
    }
}

impl<T: Transform> Stage for Transforming<T> {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        while let Some(doc) = self.source.next(env)? {
            let space = std::mem::take(&mut self.space);
            let mut out = DocWriter::append_to(space);
            let outcome = self.spec.apply(doc.as_doc(), &mut out)?;
            let mut space = out.into_bytes();
            let doc = match outcome {
                Outcome::Same => Some(doc),
                Outcome::Written => Some(Doc::trusted(&space).to_buf()),
                Outcome::Dropped => None,
            };
            space.clear();
            self.space = space;
            if doc.is_some() {
                return Ok(doc);
            }
        }
        Ok(None)
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        let (spec, space) = (&*self.spec, &mut self.space);
        self.source.stream(env, &mut |doc| transform(spec, doc, space, show))
    }

    fn share(&mut self, env: &dyn Environment, crew: &dyn Crew) -> Result<bool> {
        self.source.share(env, &Behind { spec: &*self.spec, crew })
    }

    fn is_done(&self) -> bool {
        self.source.is_done()
    }
}
