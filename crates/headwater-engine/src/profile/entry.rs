//! One operation as `system.profile` and the log show it. Source of names and order: MongoDB 8.0's documentation of the
//! profiler; what only its storage knows is not there.

use std::time::Duration;

use super::insight::Insight;
use super::redacted::redacted;
use crate::bson::{Array, Doc, DocBuf, DocWriter, Number, Raw};
use crate::engine::operations::shown;
use crate::engine::{Client, Shared, now_ms};
use crate::query::matcher::shape_hash;
use crate::query::plan::shape_text;
use crate::request::Request;

/// An operation that has ended.
#[derive(Debug)]
pub struct Operation<'r> {
    /// The database.
    pub db: &'r str,
    name: &'r str,
    namespace: String,
    request: &'r Request<'r>,
    reply: Doc<'r>,
    insight: Insight,
    took: Duration,
    client: &'r Client,
}

/// Commands that drivers send for themselves all the time.
const APART: [&str; 4] = ["hello", "isMaster", "ismaster", "endSessions"];

impl<'r> Operation<'r> {
    /// What a request came to; `None` for what nobody asks about.
    pub fn of(
        shared: &Shared,
        client: &'r Client,
        request: &'r Request<'r>,
        reply: Doc<'r>,
        took: Duration,
    ) -> Option<Operation<'r>> {
        let first = request.body.first()?;
        let name = first.name_str();
        let db = request.body.get("$db").and_then(Raw::as_str)?;
        if APART.contains(&name) || shared.is_closing() {
            return None;
        }
        let target = match name {
            "getMore" => request.body.get("collection").and_then(Raw::as_str),
            _ => first.value.as_str(),
        };
        let namespace = format!("{db}.{}", target.unwrap_or("$cmd"));
        Some(Operation {
            db,
            name,
            namespace,
            request,
            reply,
            insight: Insight::of_now(),
            took,
            client,
        })
    }

    fn kind(&self) -> &'static str {
        match self.name {
            "find" => "query",
            "insert" => "insert",
            "update" => "update",
            "delete" => "remove",
            "getMore" => "getmore",
            _ => "command",
        }
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.took.as_millis()).unwrap_or(i64::MAX)
    }

    /// The only statement of a write, or the command.
    fn command(&self) -> DocBuf {
        let list = match self.name {
            "update" => "updates",
            "delete" => "deletes",
            _ => return shown(self.request.body),
        };
        match self.documents(list).as_slice() {
            [only] => shown(*only),
            _ => shown(self.request.body),
        }
    }

    fn documents(&self, name: &str) -> Vec<Doc<'r>> {
        if let Some(sequence) = self.request.sequences.iter().find(|one| one.name == name) {
            return sequence.documents.clone();
        }
        let array = self.request.body.get(name).and_then(Raw::as_array);
        array.into_iter().flat_map(Array::iter).filter_map(Raw::as_doc).collect()
    }

    fn batch(&self) -> Option<(usize, i64)> {
        let cursor = self.reply.get("cursor").and_then(Raw::as_doc)?;
        let batch = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch"))?.as_array()?;
        let id = cursor.get("id").and_then(Number::from_raw).and_then(Number::to_i64_exact);
        Some((batch.len(), id.unwrap_or(0)))
    }

    /// The hash of the query's shape; `None` without a filter, or where texts compare in a way of their own.
    fn query_hash(&self) -> Option<String> {
        let body = self.request.body;
        let (from, names) = match self.name {
            "find" => (body, ("filter", "sort", "projection")),
            "count" | "distinct" => (body, ("query", "", "")),
            "findAndModify" => (body, ("query", "sort", "")),
            "update" => (*self.documents("updates").first()?, ("q", "sort", "")),
            "delete" => (*self.documents("deletes").first()?, ("q", "", "")),
            _ => return None,
        };
        if from.get("collation").is_some() || self.code().is_some() {
            return None;
        }
        let part = |name: &str| from.get(name).and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
        Some(shape_hash(&shape_text(part(names.0), part(names.1), part(names.2), None)))
    }

    fn code(&self) -> Option<Raw<'r>> {
        self.reply.get("code")
    }

    /// Its document in `system.profile`.
    pub fn document(&self, shared: &Shared) -> DocBuf {
        let mut out = DocWriter::new();
        out.str("op", self.kind());
        out.str("ns", &self.namespace);
        out.doc("command", self.command().as_doc());
        self.write_counts(&mut out);
        if let Some(hash) = self.query_hash() {
            out.str("queryHash", &hash);
            out.str("planCacheShapeHash", &hash);
        }
        if let Some(code) = self.code() {
            for (name, field) in [("errMsg", "errmsg"), ("errName", "codeName")] {
                self.reply.get(field).into_iter().for_each(|value| out.raw(name, value));
            }
            out.raw("errCode", code);
        }
        out.i32("responseLength", i32::try_from(self.reply.as_bytes().len()).unwrap_or(i32::MAX));
        out.str("protocol", "op_msg");
        out.i32("millis", i32::try_from(self.millis()).unwrap_or(i32::MAX));
        if let Some(summary) = self.insight.summary(&shared.catalog()) {
            out.str("planSummary", &summary);
        }
        out.date("ts", now_ms());
        out.str("client", &self.client.peer);
        if let Some(name) = self.app_name() {
            out.str("appName", &name);
        }
        out.array("allUsers", |_| {});
        out.str("user", "");
        out.finish()
    }

    fn write_counts(&self, out: &mut DocWriter) {
        let int = |out: &mut DocWriter, name: &str, value: u64| match i32::try_from(value) {
            Ok(value) => out.i32(name, value),
            Err(_) => out.i64(name, i64::try_from(value).unwrap_or(i64::MAX)),
        };
        let reply = |name: &str| {
            let number = self.reply.get(name).and_then(Number::from_raw);
            number.and_then(Number::to_i64_exact).unwrap_or(0).unsigned_abs()
        };
        if let Some((_, cursor)) = self.batch().filter(|(_, cursor)| *cursor != 0) {
            out.i64("cursorid", cursor);
        }
        if !matches!(self.name, "insert") {
            int(out, "keysExamined", self.insight.keys);
            int(out, "docsExamined", self.insight.docs);
        }
        if self.insight.recalled {
            out.bool("fromPlanCache", true);
        }
        match self.name {
            "insert" => int(out, "ninserted", reply("n")),
            "delete" => int(out, "ndeleted", reply("n")),
            "update" => {
                int(out, "nMatched", reply("n"));
                int(out, "nModified", reply("nModified"));
                let upserted = self.reply.get("upserted").and_then(Raw::as_array);
                int(out, "nUpserted", upserted.map_or(0, |all| all.len() as u64));
            }
            _ => {}
        }
        if let Some((given, cursor)) = self.batch() {
            if cursor == 0 {
                out.bool("cursorExhausted", true);
            }
            int(out, "nreturned", given as u64);
        }
        out.i32("numYield", 0);
    }

    fn app_name(&self) -> Option<String> {
        let metadata = self.client.metadata.lock();
        let application = metadata.as_ref()?.as_doc().get("application")?.as_doc()?;
        application.get("name")?.as_str().map(str::to_owned)
    }

    /// Writes its line to the log: no value that a client sent is in it, but the names of fields and operators are.
    pub fn log(&self, shared: &Shared) {
        let summary = self.insight.summary(&shared.catalog()).unwrap_or_default();
        let hash = self.query_hash().unwrap_or_default();
        let returned = self.batch().map_or(0, |(given, _)| given);
        let command = redacted(self.request.body);
        let code =
            self.code().and_then(Number::from_raw).map_or(0, |code| code.to_i64_saturating());
        tracing::info!(
            op = self.kind(),
            ns = self.namespace,
            command,
            plan_summary = summary,
            keys_examined = self.insight.keys,
            docs_examined = self.insight.docs,
            nreturned = returned,
            query_hash = hash,
            code,
            reslen = self.reply.as_bytes().len(),
            client = self.client.peer,
            millis = self.millis(),
            "slow operation"
        );
    }
}
