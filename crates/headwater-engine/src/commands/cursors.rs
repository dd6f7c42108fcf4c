//! First batches, and the cursor that is kept for what did not fit.

use super::{Context, Fields, Flow};
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type};
use crate::engine::operations::shown;
use crate::error::{Code, Error, Result};
use crate::limits::FIRST_BATCH_DOCUMENTS;
use crate::query::cursor::{Batch, Body, Fill, Rows};
use crate::query::run::Run;
use crate::session::cursors::{Activity, Cursor};

/// Room for a reply beside its documents: its frame, the namespace, the times.
const REPLY_BYTES: usize = 512;

/// How a client wants its first batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    /// Documents in the batch.
    pub documents: usize,
    /// Whether there is no second batch, whatever is left.
    pub single: bool,
    /// Whether an idle cursor stays open.
    pub no_timeout: bool,
    /// Whether sorts may use the disk.
    pub disk_use: bool,
    /// Whether it is a listing's, whose replies name the cursor before the documents.
    pub listing: bool,
}

impl First {
    /// A batch of the size that the client named, or the usual one.
    pub(super) fn of_size(batch_size: Option<i64>) -> First {
        let documents = batch_size
            .map_or(FIRST_BATCH_DOCUMENTS, |size| usize::try_from(size).unwrap_or(usize::MAX));
        First { documents, single: false, no_timeout: false, disk_use: true, listing: false }
    }
}

/// The `cursor` argument of `aggregate` and of the listing commands.
///
/// # Errors
/// `TypeMismatch` (14), `IDLUnknownField` (40415), `BadValue` (2).
pub(super) fn cursor_argument(fields: Fields<'_>) -> Result<Option<First>> {
    let Some(cursor) = fields.raw("cursor") else { return Ok(None) };
    // Listings read their arguments anew.
    let listing = fields.path().starts_with("list");
    if listing {
        let Some(cursor) = fields.document("cursor")? else { return Ok(None) };
        let path = format!("{}.cursor", fields.path());
        let cursor = Fields::new(cursor, &path);
        cursor.only(&["batchSize"])?;
        return Ok(Some(First::of_size(cursor.cut_count("batchSize")?)));
    }
    let Some(cursor) = cursor.as_doc() else {
        let message = "cursor field must be missing or an object";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let cursor = Fields::new(cursor, "cursor");
    cursor.only(&["batchSize"])?;
    Ok(Some(First::of_size(cursor.cut_count("batchSize")?)))
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
    if context.fields().get("cursor").is_none() {
        first.documents = usize::MAX;
    }
    first.listing = true;
    let run = Run::now(context.shared, context.interrupt())?;
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
    let mut reply = DocWriter::with_capacity(REPLY_BYTES);
    let filled = if first.listing {
        let mut documents = ArrayWriter::new();
        let filled = fill(context, run, first, body.as_mut(), &mut documents)?;
        write_listing(&mut reply, documents, filled.0, &namespace);
        filled
    } else {
        reply.document("cursor", |cursor| {
            let filled = cursor.array("firstBatch", |documents| {
                fill(context, run, first, body.as_mut(), documents)
            })?;
            body.write_beside(cursor);
            write_moment(cursor, run.cluster_time());
            end_cursor(cursor, filled.0, &namespace);
            Ok::<_, Error>(filled)
        })?
    };
    keep(context, filled, namespace, first, run.cluster_time(), body)?;
    Ok(Flow::Reply(reply))
}

/// Keeps a cursor for `getMore`, unless its id is 0.
///
/// # Errors
/// Too many open cursors.
pub(super) fn keep(
    context: &Context<'_>,
    (id, documents): (i64, usize),
    namespace: String,
    first: First,
    moment: Option<u64>,
    body: Box<dyn Body>,
) -> Result<()> {
    if id == 0 {
        return Ok(());
    }
    let (session, no_timeout) = (context.session, first.no_timeout);
    let (disk_use, api) = (first.disk_use, context.api);
    let activity = Activity::new(shown(context.request.body), documents);
    let time_left = context.time_left();
    context.shared.cursors.insert(Cursor {
        id,
        namespace,
        session,
        no_timeout,
        disk_use,
        moment,
        api,
        time_left,
        activity,
        body,
    })
}

/// Fills the first batch; gives the id of the cursor that is to be kept, or 0, and the number of documents.
///
/// # Errors
/// Those of filling.
pub(super) fn fill(
    context: &Context<'_>,
    run: &Run<'_>,
    first: First,
    body: &mut dyn Body,
    documents: &mut ArrayWriter,
) -> Result<(i64, usize)> {
    let fill = match first.documents {
        0 => Fill::More,
        wanted => body.fill(run, &mut Batch::new(documents, wanted))?,
    };
    let ends = first.single || matches!(fill, Fill::End);
    let id = if ends { 0 } else { context.shared.cursors.new_id() };
    Ok((id, documents.count()))
}

/// The `cursor` document of a listing's first reply: MongoDB writes it in another order.
fn write_listing(reply: &mut DocWriter, documents: ArrayWriter, id: i64, namespace: &str) {
    let documents = documents.into_bytes();
    reply.document("cursor", |cursor| {
        end_cursor(cursor, id, namespace);
        cursor.raw("firstBatch", Raw { kind: Type::Array, data: &documents });
    });
}

/// The reply that holds one document at most, and no cursor.
pub(super) fn reply_one(namespace: &str, document: Option<Doc<'_>>, moment: Option<u64>) -> Flow {
    let bytes = document.map_or(0, |document| document.as_bytes().len());
    let mut reply = DocWriter::with_capacity(bytes + REPLY_BYTES);
    reply.document("cursor", |cursor| {
        cursor.array("firstBatch", |batch| document.into_iter().for_each(|it| batch.doc(it)));
        write_moment(cursor, moment);
        end_cursor(cursor, 0, namespace);
    });
    Flow::Reply(reply)
}

/// The cluster time of what is read, where the client chose a moment or was given one.
fn write_moment(cursor: &mut DocWriter, moment: Option<u64>) {
    if let Some(time) = moment {
        cursor.timestamp("atClusterTime", time);
    }
}

fn end_cursor(cursor: &mut DocWriter, id: i64, namespace: &str) {
    cursor.i64("id", id);
    cursor.str("ns", namespace);
}

/// The `cursor` document of a reply; `id` is 0 where the cursor has ended.
pub(super) fn write_batch(
    name: &str,
    documents: ArrayWriter,
    id: i64,
    cursor: &Cursor,
) -> DocWriter {
    let mut reply = DocWriter::new();
    let documents = documents.into_bytes();
    reply.document("cursor", |out| {
        out.raw(name, Raw { kind: Type::Array, data: &documents });
        cursor.body.write_beside(out);
        write_moment(out, cursor.moment);
        end_cursor(out, id, &cursor.namespace);
    });
    reply
}
