//! How deep documents may become on their way through a pipeline: each stage can put the document that it was given a few
//! levels down, as deep as its own text is.
//!
//! MongoDB looks at results alone (200 levels). Here documents between stages have a limit too, above all that results
//! can be made from, since comparing and encoding them takes stack by the level.

use crate::bson::{Doc, DocBuf, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::{COMMAND_DEPTH_MAX, DEPTH_MAX};
use crate::query::crew::{Crew, Share, Walk};
use crate::query::exec::{Environment, Look, Stage};

/// Deepest document between two stages.
const BETWEEN_MAX: usize = 500;
/// Levels that stages may add until the next look.
const UNSEEN_MAX: usize = 100;

/// The levels of a value's documents and arrays.
pub(super) fn levels(raw: Raw<'_>) -> usize {
    match raw.kind {
        Type::Document | Type::Array => {
            1 + Doc::trusted(raw.data).iter().map(|e| levels(e.value)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// By stage, how deep the documents behind it may be, where that must be looked at. `added` has the levels of each
/// stage's text.
pub(super) fn limits(added: &[usize]) -> Vec<Option<usize>> {
    let mut limits = vec![None; added.len()];
    let (mut unseen, mut seen) = (0, DEPTH_MAX);
    for (limit, added) in limits.iter_mut().zip(added) {
        unseen += added;
        if unseen > UNSEEN_MAX {
            *limit = Some(BETWEEN_MAX);
            (unseen, seen) = (0, BETWEEN_MAX);
        }
    }
    if let Some(last) = limits.last_mut()
        && seen + unseen > COMMAND_DEPTH_MAX
    {
        *last = Some(COMMAND_DEPTH_MAX);
    }
    limits
}

/// Fails if a value has more levels than that.
///
/// # Errors
/// `Overflow` (15).
pub(super) fn check(raw: Raw<'_>, limit: usize) -> Result<()> {
    if is_deeper(raw, limit) { Err(too_deep()) } else { Ok(()) }
}

fn is_deeper(raw: Raw<'_>, limit: usize) -> bool {
    match raw.kind {
        Type::Document | Type::Array if limit == 0 => true,
        Type::Document | Type::Array => {
            Doc::trusted(raw.data).iter().any(|e| is_deeper(e.value, limit - 1))
        }
        _ => false,
    }
}

#[cold]
fn too_deep() -> Error {
    let levels = COMMAND_DEPTH_MAX;
    let message = format!(
        "cannot convert document to BSON because it exceeds the limit of {levels} levels of nesting"
    );
    Error::new(Code::OVERFLOW, message)
}

/// Passes the documents of a stage on that are not too deep.
pub(super) struct Shallow {
    source: Box<dyn Stage>,
    limit: usize,
}

impl Shallow {
    /// Documents of `source` with at most `limit` levels; a deeper one fails.
    pub(super) fn new(source: Box<dyn Stage>, limit: usize) -> Shallow {
        Shallow { source, limit }
    }
}

impl Stage for Shallow {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let next = self.source.next(env)?;
        if let Some(doc) = &next {
            check(doc.as_doc().as_raw(), self.limit)?;
        }
        Ok(next)
    }

    fn is_done(&self) -> bool {
        self.source.is_done()
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        let limit = self.limit;
        self.source.stream(env, &mut |doc| {
            check(doc.as_raw(), limit)?;
            show(doc)
        })
    }

    fn share(&mut self, env: &dyn Environment, crew: &dyn Crew) -> Result<bool> {
        self.source.share(env, &Behind { limit: self.limit, crew })
    }
}

/// A crew that takes in documents that are not too deep.
struct Behind<'c> {
    limit: usize,
    crew: &'c dyn Crew,
}

impl Crew for Behind<'_> {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        self.crew.work(share, &mut |piece, look| {
            walk(piece, &mut |doc| {
                check(doc.as_raw(), self.limit)?;
                look(doc)
            })
        })
    }

    fn give_up(&self) {
        self.crew.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pipelines_are_not_looked_at_and_long_ones_at_times() {
        assert_eq!(limits(&[5, 5, 10]), [None; 3]);
        assert_eq!(limits(&[5, 5, 11]), [None, None, Some(COMMAND_DEPTH_MAX)]);
        let limits = limits(&[60, 60, 60, 60, 1]);
        let (between, last) = (Some(BETWEEN_MAX), Some(COMMAND_DEPTH_MAX));
        assert_eq!(limits, [None, between, None, between, last]);
    }
}
