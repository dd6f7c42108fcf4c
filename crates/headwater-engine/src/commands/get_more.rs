//! `getMore`: the next batch of a cursor; on a tailing cursor it waits for data.

use std::time::{Duration, Instant};

use super::cursors::write_batch;
use super::{Command, Context, Flow, Needs};
use crate::bson::{ArrayWriter, View};
use crate::engine::Shared;
use crate::error::{Code, Error, Result};
use crate::query::cursor::{Batch, Fill};
use crate::query::run::Run;
use crate::session::cursors::Cursor;
use crate::status;

/// What MongoDB puts before errors of a running cursor.
const PREFIX: &str = "Executor error during getMore :: caused by :: ";

/// How long a tailing cursor waits when the client does not say, in milliseconds.
const AWAIT_MS: i64 = 1000;

pub(super) const COMMAND: Command = Command {
    name: "getMore",
    aliases: &[],
    help: "Gives the next batch of a cursor",
    needs: Needs::Read,
    fields: &["batchSize", "collection", "lastKnownCommittedOpTime", "term"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let id = fields.get("getMore").ok_or_else(|| fields.missing("getMore"))?;
    let View::Int64(id) = id.view() else {
        return Err(fields.wrong_type("getMore", id.kind, &["long"]));
    };
    let collection = fields.str("collection")?.ok_or_else(|| fields.missing("collection"))?;
    if collection.is_empty() {
        return Err(Error::new(Code::INVALID_NAMESPACE, "Collection names cannot be empty"));
    }
    let size = fields.cut_count("batchSize")?.filter(|&size| size > 0);
    let wait_ms = fields.count("maxTimeMS")?;
    let namespace = format!("{}.{collection}", context.db);
    let shared = context.shared;
    context.client.awaits(None);
    let taken = shared.cursors.take(id, &namespace, context.session);
    // Closing takes all cursors away, which is the reason then.
    let mut cursor = taken.map_err(|error| shared.check_open().err().unwrap_or(error))?;
    if let Some(running) = &context.running {
        running.operation().runs(id);
    }
    if cursor.api != context.api {
        let (own, opened) = (context.api, cursor.api);
        shared.cursors.put_back(cursor);
        return Err(Error::new(
            Code::API_MISMATCH_ERROR,
            format!(
                "API parameter mismatch: getMore used params {own}, the cursor-creating command used {opened}"
            ),
        ));
    }
    if context.waiting_since.is_none() {
        status::count(&shared.status.operations.getmore, 1);
    }
    if wait_ms.is_some() && !cursor.body.awaits_data() {
        shared.cursors.put_back(cursor);
        return Err(Error::new(
            Code::BAD_VALUE,
            "cannot set maxTimeMS on getMore command for a non-awaitData cursor",
        ));
    }
    if context.mode == crate::request::Mode::Inline
        && (cursor.moment.is_some() || !cursor.body.runs_inline())
    {
        shared.cursors.put_back(cursor);
        return Ok(Flow::Busy);
    }
    if let Some(left) = cursor.time_left.filter(|_| !cursor.body.awaits_data())
        && let Err(error) = context.limit_time(left)
    {
        shared.cursors.end(id);
        return Err(error.with_prefix(PREFIX));
    }
    let mut documents = ArrayWriter::new();
    let size = size.map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX));
    if context.waiting_since.is_none()
        && let Some(error) = failed_on_demand(shared)
    {
        shared.cursors.end(id);
        return Err(if cursor.body.is_change_stream() { resumable(error) } else { error });
    }
    let filled = match cursor.body.rest(shared, context.waiting_since.is_some()) {
        Some(wait) => Ok(Fill::Await(wait)),
        None => view_for(context, &cursor)
            .map(|run| run.with_disk_use(cursor.disk_use))
            .and_then(|run| cursor.body.fill(&run, &mut Batch::new(&mut documents, size))),
    };
    let fill = match filled {
        Ok(fill) => fill,
        Err(error) => {
            shared.cursors.end(id);
            return Err(match cursor.body.is_change_stream() {
                true => resumable(error),
                false if says_all(&error) => error,
                false => error.with_prefix(PREFIX),
            });
        }
    };
    let ended = matches!(fill, Fill::End);
    if let Fill::Await(wait) = fill
        && documents.is_empty()
    {
        let longest = Duration::from_millis(wait_ms.unwrap_or(AWAIT_MS).unsigned_abs());
        let deadline = context.waiting_since.unwrap_or_else(|| Instant::now() + longest);
        if Instant::now() < deadline && !shared.is_closing() {
            shared.cursors.put_back(cursor);
            if !context.client.awaits(Some(id)) {
                shared.cursors.kill(id);
            }
            return Ok(Flow::Await { wait, deadline });
        }
    }
    cursor.activity.gave(documents.count());
    cursor.time_left = context.time_left().or(cursor.time_left);
    let open = if ended { 0 } else { id };
    let reply = write_batch("nextBatch", documents, open, &cursor);
    if open == 0 {
        shared.cursors.end(id);
    } else {
        shared.cursors.put_back(cursor);
    }
    Ok(Flow::Reply(reply))
}

/// What the next batch is read from: the moment of the first one, if that is kept for the cursor, or else the present.
fn view_for<'a>(context: &Context<'a>, cursor: &Cursor) -> Result<Run<'a>> {
    match cursor.moment {
        None => Run::now(context.shared, context.interrupt()),
        Some(time) => context.read_at(Some(time))?.ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a moment was asked for on a thread that may not wait")
        }),
    }
}

/// What the fail point `failGetMoreAfterCursorCheckout` makes of it.
fn failed_on_demand(shared: &Shared) -> Option<Error> {
    let failure = shared.options.test_commands.then(|| shared.fail_points.in_get_more())??;
    let message = "Hit the 'failGetMoreAfterCursorCheckout' failpoint";
    failure.code.map(|code| Error::new(Code(code), message))
}

/// Labels an error of a change stream that the client may open again behind its last token, by MongoDB's list.
fn resumable(error: Error) -> Error {
    const RESUMABLE: &[i32] = &[
        6, 7, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
    ];
    if RESUMABLE.contains(&error.code().0) {
        return error.with_label("ResumableChangeStreamError");
    }
    error
}

/// The collection, or the place in it, is gone: MongoDB puts nothing before these.
fn says_all(error: &Error) -> bool {
    matches!(error.code(), Code::CAPPED_POSITION_LOST | Code::QUERY_PLAN_KILLED)
}
