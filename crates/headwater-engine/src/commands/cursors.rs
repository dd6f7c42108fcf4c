//! First batches, and the cursor that is kept for what did not fit.

use super::{Context, Fields, Flow};
use crate::bson::{ArrayWriter, DocBuf, DocWriter, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::FIRST_BATCH_DOCUMENTS;
use crate::query::cursor::{Batch, Body, Fill, Rows};
use crate::query::run::Run;
use crate::session::cursors::Cursor;

/// How a client wants its first batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    /// Documents in the batch.
    pub documents: usize,
    /// Whether there is no second batch, whatever is left.
    pub single: bool,
    /// Whether an idle cursor stays open.
    pub no_timeout: bool,
    /// Whether it is a listing's, whose replies name the cursor before the documents.
    pub listing: bool,
}

impl First {
    /// A batch of the size that the client named, or the usual one.
    pub(super) fn of_size(batch_size: Option<i64>) -> First {
        let documents = batch_size
            .map_or(FIRST_BATCH_DOCUMENTS, |size| usize::try_from(size).unwrap_or(usize::MAX));
        First { documents, single: false, no_timeout: false, listing: false }
    }
}

/// The `cursor` argument of `aggregate` and of the listing commands.
///
/// # Errors
/// `TypeMismatch` (14), `IDLUnknownField` (40415), `BadValue` (2).
pub(super) fn cursor_argument(fields: Fields<'_>) -> Result<Option<First>> {
    let Some(cursor) = fields.raw("cursor") else { return Ok(None) };
    let Some(cursor) = cursor.as_doc() else {
        let message = "cursor field must be missing or an object";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let cursor = Fields::new(cursor, "cursor");
    cursor.only(&["batchSize"])?;
    Ok(Some(First::of_size(cursor.count("batchSize")?)))
}

/// Replies with rows that are there already.
///
/// # Errors
/// Those of the `cursor` argument.
pub(super) fn reply_rows(
    context: &mut Context<'_>,
    namespace: String,
    rows: Vec<DocBuf>,
) -> Result<Flow> {
    let mut first = cursor_argument(context.fields())?.unwrap_or(First::of_size(None));
    if context.fields().raw("cursor").is_none() {
        first.documents = usize::MAX;
    }
    first.listing = true;
    let run = Run::now(context.shared, context.deadline)?;
    reply_first(context, &run, namespace, first, Box::new(Rows::new(rows)))
}

/// Fills the first batch and keeps the cursor if there may be more.
///
/// # Errors
/// Those of filling.
pub(super) fn reply_first(
    context: &Context<'_>,
    run: &Run<'_>,
    namespace: String,
    first: First,
    mut body: Box<dyn Body>,
) -> Result<Flow> {
    let mut documents = ArrayWriter::new();
    let mut batch = Batch::new(&mut documents, first.documents);
    let fill = match first.documents {
        0 => Fill::More,
        _ => body.fill(run, &mut batch)?,
    };
    let id = match fill {
        Fill::End => 0,
        _ if first.single => 0,
        _ => context.shared.cursors.new_id(),
    };
    let reply = match first.listing {
        true => write_listing(documents, id, &namespace),
        false => write_batch("firstBatch", documents, id, &namespace, body.as_ref()),
    };
    if id != 0 {
        let session = context.session;
        let (no_timeout, api) = (first.no_timeout, context.api);
        context.shared.cursors.insert(Cursor { id, namespace, session, no_timeout, api, body })?;
    }
    Ok(Flow::Reply(reply))
}

/// The `cursor` document of a listing's first reply: MongoDB writes it in another order.
fn write_listing(documents: ArrayWriter, id: i64, namespace: &str) -> DocWriter {
    let mut reply = DocWriter::new();
    let documents = documents.into_bytes();
    reply.document("cursor", |cursor| {
        cursor.i64("id", id);
        cursor.str("ns", namespace);
        cursor.raw("firstBatch", Raw { kind: Type::Array, data: &documents });
    });
    reply
}

/// The `cursor` document of a reply.
pub(super) fn write_batch(
    name: &str,
    documents: ArrayWriter,
    id: i64,
    namespace: &str,
    body: &dyn Body,
) -> DocWriter {
    let mut reply = DocWriter::new();
    let documents = documents.into_bytes();
    reply.document("cursor", |cursor| {
        cursor.raw(name, Raw { kind: Type::Array, data: &documents });
        body.write_beside(cursor);
        cursor.i64("id", id);
        cursor.str("ns", namespace);
    });
    reply
}
