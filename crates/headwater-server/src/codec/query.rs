//! `OP_QUERY` as old drivers send commands, and the `OP_REPLY` that answers it.

use headwater_engine::Error;
use headwater_engine::bson::{Doc, DocBuf, DocWriter, validate_command};
use headwater_engine::error::Code;

use super::header::HEADER_BYTES;
use super::{Header, opcode, walk};

const EXHAUST: i32 = 1 << 6;
const AWAIT_CAPABLE: i32 = 1 << 3;
const QUERY_FAILURE: i32 = 1 << 1;
/// What MongoDB answers since 5.1 to a query that is not a command.
const LEGACY_QUERY: i32 = 5_739_101;

/// The command in a whole `OP_QUERY` message, as `OP_MSG` would carry it: unwrapped, with `$db`.
///
/// # Errors
/// The error that MongoDB replies with.
pub fn command(message: &[u8]) -> Result<DocBuf, Error> {
    let mut rest = message.get(HEADER_BYTES..).unwrap_or_default();
    let flags = walk::int32(&mut rest).ok_or_else(cut_short)?;
    let namespace = walk::cstring(&mut rest).ok_or_else(cut_short)?;
    let _skip = walk::int32(&mut rest).ok_or_else(cut_short)?;
    let count = walk::int32(&mut rest).ok_or_else(cut_short)?;
    let Some((database, "$cmd")) = namespace.split_once('.') else {
        return Err(Error::location(
            LEGACY_QUERY,
            "OP_QUERY is no longer supported. The client driver may require an upgrade.",
        ));
    };
    if count.unsigned_abs() != 1 {
        let what = format!(
            "Bad numberToReturn ({count}) for $cmd type ns - can only be 1 or -1: {namespace}"
        );
        return Err(Error::location(16979, what));
    }
    if flags & EXHAUST != 0 {
        let what = format!("The 'exhaust' OP_QUERY flag is invalid for commands: {namespace}");
        return Err(Error::location(18527, what));
    }
    let query = validate_command(walk::document(&mut rest).ok_or_else(cut_short)?)?;
    unwrapped(database, query)
}

fn unwrapped(database: &str, query: Doc<'_>) -> Result<DocBuf, Error> {
    let first = query.first();
    let inner = first.filter(|e| matches!(e.name, b"$query" | b"query"));
    let inner = inner.and_then(|e| e.value.as_doc());
    let body = inner.unwrap_or(query);
    if body.get("$db").is_some() {
        return Err(Error::location(40621, "$db is not allowed in OP_QUERY requests"));
    }
    let mut command = DocWriter::append_to(Vec::with_capacity(body.as_bytes().len() + 64));
    command.extend(body);
    if let Some(preference) = inner.and_then(|_| query.get("$readPreference"))
        && body.get("$readPreference").is_none()
    {
        command.raw("$readPreference", preference);
    }
    command.str("$db", database);
    Ok(command.finish())
}

#[cold]
fn cut_short() -> Error {
    Error::new(Code::INVALID_BSON, "OP_QUERY does not fit into its message")
}

/// The reply to a message in which [`command`] found an error: as old drivers expect it of a query that is no command.
pub fn error_reply(error: &Error) -> DocBuf {
    let mut reply = DocWriter::new();
    if error.code() == Code(LEGACY_QUERY) {
        reply.str("$err", error.message());
        reply.i32("code", error.code().0);
        reply.f64("ok", 0.0);
    } else {
        error.write_reply(&mut reply);
    }
    reply.finish()
}

/// Whether a reply says that a query failed, so that the flags have to say it too.
pub fn is_failure(reply: Doc<'_>) -> bool {
    reply.first().is_some_and(|e| e.name == b"$err")
}

/// Starts an `OP_REPLY` with one document at the end of `out`: everything up to the document.
/// [`finish`] ends it once the document is appended.
pub fn start(out: &mut Vec<u8>, request_id: i32, response_to: i32, failed: bool) {
    Header { length: 0, request_id, response_to, opcode: opcode::REPLY }.write(out);
    let flags = if failed { AWAIT_CAPABLE | QUERY_FAILURE } else { AWAIT_CAPABLE };
    // Flags, cursor id (two words), position of the first document, number of documents.
    for field in [flags, 0, 0, 0, 1] {
        out.extend_from_slice(&field.to_le_bytes());
    }
}

/// Ends the message that starts at `start` of `out`.
pub fn finish(out: &mut [u8], start: usize) {
    Header::patch_length(out, start);
}
