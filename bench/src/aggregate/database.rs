//! An engine in a folder of its own, filled and opened again, so that everything is in the tree.

use headwater_engine::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type, View};
use headwater_engine::{Aggregation, Client, Engine, EngineOptions, Request};

use super::rows::Row;
use super::{Plan, data};

const BATCH: u64 = 1000;

pub(super) struct Database {
    engine: Engine,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Database {
    /// A database with the collections that the rows read.
    pub(super) fn filled(plan: &Plan, rows: &[&Row]) -> Result<Database, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let aggregation = Aggregation { threads: plan.threads, ..Aggregation::default() };
        let options = EngineOptions { aggregation, ..EngineOptions::default() };
        let open = || {
            let engine = Engine::open(folder.path(), options.clone());
            engine.map_err(|error| error.to_string())
        };
        let engine = open()?;
        let client = engine.client("bench", "bench");
        let loading = Database { engine, client, _folder: tempfile::tempdir().map_err(text)? };
        let reads = |collection| rows.iter().any(|row| row.collection == collection);
        if reads("sales") {
            loading.insert("sales", plan.documents, data::document)?;
        }
        if reads("orders") {
            loading.insert("orders", plan.documents / 10, data::order)?;
            loading.insert("customers", data::CUSTOMERS, data::customer)?;
        }
        if reads("tagged") {
            loading.insert("tagged", plan.documents / 10, data::tagged)?;
        }
        loading.engine.close().map_err(text)?;
        drop(loading);
        let engine = open()?;
        let client = engine.client("bench", "bench");
        Ok(Database { engine, client, _folder: folder })
    }

    fn insert(
        &self,
        collection: &str,
        count: u64,
        document: fn(u64) -> DocBuf,
    ) -> Result<(), String> {
        for first in (0..count).step_by(BATCH as usize) {
            let mut insert = DocWriter::new();
            insert.str("insert", collection);
            insert.array("documents", |batch| {
                (first..count.min(first + BATCH)).for_each(|at| batch.doc(document(at).as_doc()));
            });
            self.answer(insert)?;
        }
        Ok(())
    }

    /// Runs a pipeline to its end and says how many documents it gave.
    pub(super) fn drain(
        &self,
        collection: &str,
        pipeline: fn(&mut ArrayWriter),
    ) -> Result<u64, String> {
        let mut command = DocWriter::new();
        command.str("aggregate", collection);
        command.array("pipeline", pipeline);
        command.document("cursor", |cursor| cursor.i32("batchSize", 1000));
        let mut reply = self.answer(command)?;
        let mut given = 0;
        loop {
            let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
            let batch = cursor.get("firstBatch").or(cursor.get("nextBatch"));
            given += batch.and_then(Raw::as_array).map_or(0, |batch| batch.len() as u64);
            let Some(View::Int64(id)) = cursor.get("id").map(Raw::view) else {
                return Err("a reply without a cursor".into());
            };
            if id == 0 {
                return Ok(given);
            }
            let mut more = DocWriter::new();
            more.i64("getMore", id);
            more.str("collection", collection);
            reply = self.answer(more)?;
        }
    }

    fn answer(&self, mut command: DocWriter) -> Result<DocBuf, String> {
        command.str("$db", "bench");
        let command = command.finish();
        let request = Request { body: command.as_doc(), sequences: &[] };
        let reply = self.engine.run_command(&self.client, &request);
        let failed = reply.as_doc().get("errmsg").or(reply.as_doc().get("writeErrors"));
        match failed.filter(|failed| failed.kind != Type::Null) {
            Some(message) => Err(format!("{message:?}")),
            None => Ok(reply),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
