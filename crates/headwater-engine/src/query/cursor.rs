//! What a cursor runs: fills one batch after the other.

use super::exec::{Flow, Stage};
use super::run::Run;
use crate::bson::{ArrayWriter, Doc, DocBuf};
use crate::engine::Shared;
use crate::error::{Code, Error, Result};
use crate::limits::{BATCH_BYTES_MAX, DOCUMENT_BYTES_MAX, DOCUMENT_BYTES_SLACK};
use crate::request::Wait;

/// The work behind a cursor.
pub trait Body: Send {
    /// Adds documents to the batch until it is full or there are none.
    ///
    /// # Errors
    /// What running can raise; the cursor is then closed.
    fn fill(&mut self, run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill>;

    /// Whether the cursor stays open at its end and waits for more.
    fn awaits_data(&self) -> bool {
        false
    }

    /// Whether it is a change stream, which a client may open again behind its last token.
    fn is_change_stream(&self) -> bool {
        false
    }

    /// Whether filling a batch is short work that never blocks.
    fn runs_inline(&self) -> bool {
        false
    }

    /// What to wait for if it is known, without running, that there is nothing for now. `again` says that the client
    /// waits already, and has been told of everything that there was when it asked.
    fn rest(&mut self, _shared: &Shared, _again: bool) -> Option<Wait> {
        None
    }

    /// Appends what stands beside the batch in the reply, such as `postBatchResumeToken`.
    fn write_beside(&self, _cursor: &mut crate::bson::DocWriter) {}
}

/// How filling a batch ended.
#[derive(Debug, Clone)]
pub enum Fill {
    /// There may be more.
    More,
    /// There is no more: the cursor is closed.
    End,
    /// Nothing for now; look again after that.
    Await(Wait),
}

/// A batch being filled: counts documents and bytes against its limits.
pub struct Batch<'w> {
    writer: &'w mut ArrayWriter,
    documents_left: usize,
}

impl<'w> Batch<'w> {
    /// A batch of at most `documents` documents.
    pub fn new(writer: &'w mut ArrayWriter, documents: usize) -> Batch<'w> {
        Batch { writer, documents_left: documents }
    }

    /// Whether a document of that many bytes still fits. The first one always does.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.documents_left > 0
            && (self.writer.is_empty() || self.writer.len() + bytes <= BATCH_BYTES_MAX)
    }

    /// Whether the wanted number of documents is reached.
    pub fn is_full(&self) -> bool {
        self.documents_left == 0
    }

    /// Whether there is no document yet.
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// Adds a document.
    pub fn push(&mut self, doc: Doc<'_>) {
        self.writer.doc(doc);
        self.documents_left = self.documents_left.saturating_sub(1);
    }

    /// Adds a document that `write` builds in place.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn build(
        &mut self,
        write: impl FnOnce(&mut crate::bson::DocWriter) -> Result<()>,
    ) -> Result<()> {
        self.writer.document(write)?;
        self.documents_left = self.documents_left.saturating_sub(1);
        Ok(())
    }
}

/// The documents of a running pipeline.
pub struct StageBody {
    stage: Box<dyn Stage>,
    held: Option<DocBuf>,
}

impl StageBody {
    /// The documents that `stage` gives.
    pub fn new(stage: Box<dyn Stage>) -> StageBody {
        StageBody { stage, held: None }
    }
}

/// Checks that a document is not too large for a client.
fn check_size(doc: Doc<'_>) -> Result<()> {
    let (bytes, max) = (doc.as_bytes().len(), DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_SLACK);
    if bytes <= max {
        return Ok(());
    }
    let what = "Serializing Document failed :: caused by ::";
    let message = format!("{what} Size {bytes} exceeds maximum {max}");
    Err(Error::new(Code::BSON_OBJECT_TOO_LARGE, message))
}

impl Body for StageBody {
    fn fill(&mut self, run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill> {
        if batch.is_full() {
            return Ok(if self.held.is_none() && self.stage.is_done() {
                Fill::End
            } else {
                Fill::More
            });
        }
        if let Some(held) = self.held.take() {
            batch.push(held.as_doc());
        }
        let (held, mut full) = (&mut self.held, batch.is_full());
        if !full {
            self.stage.stream(run, &mut |doc| {
                check_size(doc)?;
                if !batch.has_room(doc.as_bytes().len()) {
                    *held = Some(doc.to_buf());
                    full = true;
                    return Ok(Flow::Stop);
                }
                batch.push(doc);
                full = batch.is_full();
                Ok(if full { Flow::Stop } else { Flow::Continue })
            })?;
        }
        let ended = !full || (held.is_none() && self.stage.is_done());
        Ok(if ended { Fill::End } else { Fill::More })
    }
}

/// Documents that are there already, such as the rows of `listIndexes`.
pub struct Rows(std::collections::VecDeque<DocBuf>);

impl Rows {
    /// A cursor over rows.
    pub fn new(rows: impl IntoIterator<Item = DocBuf>) -> Rows {
        Rows(rows.into_iter().collect())
    }
}

impl Body for Rows {
    fn fill(&mut self, _run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill> {
        while let Some(row) = self.0.front() {
            if !batch.has_room(row.as_doc().as_bytes().len()) {
                return Ok(Fill::More);
            }
            batch.push(row.as_doc());
            self.0.pop_front();
        }
        Ok(Fill::End)
    }
}
