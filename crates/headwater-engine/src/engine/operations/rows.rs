//! The rows of `currentOp`: operations, idle connections and idle cursors in MongoDB's shape.

use std::collections::HashMap;

use super::{Operation, Progress};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, iso};
use crate::engine::{Connection, Shared, now_ms};
use crate::session::cursors::Idle;
use crate::session::nobody;
use crate::status::host_name;

/// What rows are wanted beside the operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Connections on which nothing runs.
    pub idle_connections: bool,
    /// Cursors that wait for a `getMore`.
    pub idle_cursors: bool,
}

/// The rows of now.
pub fn rows(shared: &Shared, wanted: Wanted) -> Vec<DocBuf> {
    let connections: HashMap<i64, Connection> =
        shared.connections().into_iter().map(|connection| (connection.id, connection)).collect();
    let page = Page { host: host_name(), now_ms: now_ms(), connections };
    let operations = shared.operations.list();
    let mut rows: Vec<DocBuf> = operations.iter().map(|operation| page.active(operation)).collect();
    if wanted.idle_connections {
        let is_idle = |connection: &&Connection| {
            !operations.iter().any(|operation| operation.connection_id == connection.id)
        };
        let mut idle: Vec<_> = page.connections.values().filter(is_idle).collect();
        idle.sort_by_key(|connection| connection.id);
        rows.extend(idle.into_iter().map(|connection| page.idle(connection)));
    }
    if wanted.idle_cursors {
        rows.extend(shared.cursors.idle().iter().map(|cursor| page.cursor(cursor)));
    }
    rows
}

struct Page {
    host: String,
    now_ms: i64,
    connections: HashMap<i64, Connection>,
}

impl Page {
    fn active(&self, operation: &Operation) -> DocBuf {
        let ran = operation.started.elapsed();
        let number = |value: u128| i64::try_from(value).unwrap_or(i64::MAX);
        let mut row = self.head(operation.connection_id, true);
        row.i32("opid", operation.id);
        if let Some(id) = operation.session {
            write_session(&mut row, &id);
        }
        row.i64("secs_running", number(ran.as_secs().into()));
        row.i64("microsecs_running", number(ran.as_micros()));
        row.str("op", kind(operation.name));
        row.str("ns", &operation.namespace);
        row.bool("redacted", false);
        row.doc("command", operation.command.as_doc());
        if operation.cursor() != 0 {
            row.document("cursor", |cursor| cursor.i64("cursorId", operation.cursor()));
        }
        if let Some(progress) = operation.progress() {
            write_progress(&mut row, progress);
        }
        row.i32("numYields", operation.yields());
        row.document("locks", |_| {});
        row.bool("waitingForLock", operation.is_waiting());
        row.document("lockStats", |_| {});
        row.bool("waitingForFlowControl", false);
        row.document("flowControlStats", |_| {});
        row.finish()
    }

    fn idle(&self, connection: &Connection) -> DocBuf {
        self.head(connection.id, false).finish()
    }

    /// What the rows of connections have in common.
    fn head(&self, connection_id: i64, active: bool) -> DocWriter {
        let mut row = DocWriter::new();
        row.str("type", "op");
        row.str("host", &self.host);
        row.str("desc", &format!("conn{connection_id}"));
        row.i32("connectionId", i32::try_from(connection_id).unwrap_or(i32::MAX));
        if let Some(connection) = self.connections.get(&connection_id) {
            row.str("client", &connection.peer);
            if let Some(metadata) = &*connection.metadata.lock() {
                write_metadata(&mut row, metadata.as_doc());
            }
        }
        row.bool("active", active);
        let now = iso::format_with_millis(self.now_ms).unwrap_or_default();
        row.str("currentOpTime", &format!("{}+00:00", now.trim_end_matches('Z')));
        row.bool("threaded", true);
        row.bool("isFromUserConnection", true);
        row
    }

    fn cursor(&self, idle: &Idle) -> DocBuf {
        let mut row = DocWriter::new();
        row.str("type", "idleCursor");
        row.str("host", &self.host);
        row.str("ns", &idle.namespace);
        if let Some(id) = idle.session {
            write_session(&mut row, &id);
        }
        row.document("cursor", |cursor| {
            cursor.i64("cursorId", idle.id);
            cursor.date("createdDate", idle.activity.created_ms);
            cursor.date("lastAccessDate", idle.activity.last_ms);
            cursor.i64("nDocsReturned", idle.activity.documents);
            cursor.i64("nBatchesReturned", idle.activity.batches);
            cursor.bool("noCursorTimeout", idle.no_timeout);
            cursor.bool("tailable", idle.tails);
            cursor.bool("awaitData", idle.tails);
            cursor.doc("originatingCommand", idle.activity.command.as_doc());
        });
        row.finish()
    }
}

fn write_session(row: &mut DocWriter, id: &[u8; 16]) {
    row.document("lsid", |session| {
        session.binary("id", 4, id);
        session.binary("uid", 0, &nobody::UID);
    });
}

/// The message names its phase twice, as MongoDB's does.
fn write_progress(row: &mut DocWriter, progress: Progress) {
    let Progress { message, done, total } = progress;
    let percent = done * 100 / total.max(1);
    row.str("msg", &format!("{message} {message}: {done}/{total} {percent}%"));
    row.document("progress", |out| {
        for (name, value) in [("done", done), ("total", total)] {
            match i32::try_from(value) {
                Ok(value) => out.i32(name, value),
                Err(_) => out.i64(name, i64::try_from(value).unwrap_or(i64::MAX)),
            }
        }
    });
}

fn write_metadata(row: &mut DocWriter, metadata: Doc<'_>) {
    let application = metadata.get("application").and_then(Raw::as_doc);
    if let Some(name) = application.and_then(|it| it.get("name")).and_then(Raw::as_str) {
        row.str("appName", name);
    }
    row.doc("clientMetadata", metadata);
}

/// The class of an operation, as `op` says it.
fn kind(command: &str) -> &'static str {
    match command {
        "delete" => "remove",
        "find" => "query",
        "getMore" => "getmore",
        "insert" => "insert",
        "killCursors" => "killcursors",
        "update" => "update",
        _ => "command",
    }
}
