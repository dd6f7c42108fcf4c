//! Indexes: what they cost writers, and how fast they are built. An engine on disk, without sockets; processor time is
//! that of the whole process, its background threads included.
//!
//! index [build|drop|insert|plan|read|ttl..] [--documents N] [--folder PATH]

mod beside;
mod building;
mod inserting;
mod planning;
mod reading;

use std::path::PathBuf;

use crate::processor::processor_us;
use headwater_engine::bson::{DocBuf, DocWriter};
use headwater_engine::{Client, Engine, EngineOptions, Request};

/// A part: its name and how it runs.
type Part = (&'static str, fn(&Plan) -> Result<(), String>);

const PARTS: &[Part] = &[
    ("build", building::run),
    ("drop", beside::dropping),
    ("insert", inserting::run),
    ("plan", planning::run),
    ("read", reading::run),
    ("ttl", beside::expiring),
];

/// What is asked for.
pub(crate) struct Plan {
    documents: u64,
    folder: Option<PathBuf>,
}

/// Runs the parts that are named, or all, and prints their tables.
///
/// # Errors
/// Arguments that do not parse; a command that fails.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut plan = Plan { documents: 1_000_000, folder: None };
    let mut wanted = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--documents" => {
                let number = words.next().and_then(|number| number.parse().ok());
                plan.documents = number.ok_or("--documents takes a number")?;
            }
            "--folder" => plan.folder = words.next().map(PathBuf::from),
            name => match PARTS.iter().find(|part| part.0 == name) {
                Some(part) => wanted.push(part),
                None => {
                    return Err(
                        "index [build|drop|insert|plan|read|ttl..] [--documents N] [--folder PATH]"
                            .into(),
                    );
                }
            },
        }
    }
    let all = wanted.is_empty();
    let parts = PARTS.iter().filter(|part| all || wanted.contains(part));
    parts.into_iter().try_for_each(|(_, run)| run(&plan))
}

/// An engine in a folder of its own.
struct Database {
    engine: Engine,
    client: Client,
    _folder: tempfile::TempDir,
}

impl Database {
    fn open(plan: &Plan) -> Result<Database, String> {
        let folder = match &plan.folder {
            Some(folder) => tempfile::tempdir_in(folder),
            None => tempfile::tempdir(),
        };
        let folder = folder.map_err(|error| error.to_string())?;
        let engine = Engine::open(folder.path(), EngineOptions::default());
        let engine = engine.map_err(|error| error.to_string())?;
        let client = engine.client("bench", "bench");
        Ok(Database { engine, client, _folder: folder })
    }

    /// Runs a command on the collection `c`.
    fn run(&self, name: &str, fill: impl FnOnce(&mut DocWriter)) -> Result<DocBuf, String> {
        let mut command = DocWriter::new();
        command.str(name, "c");
        fill(&mut command);
        command.str("$db", "bench");
        self.answer(command)
    }

    fn answer(&self, command: DocWriter) -> Result<DocBuf, String> {
        let command = command.finish();
        let request = Request { body: command.as_doc(), sequences: &[] };
        let reply = self.engine.run_command(&self.client, &request);
        match reply.as_doc().get("errmsg").or(reply.as_doc().get("writeErrors")) {
            Some(message) => Err(format!("{message:?}")),
            None => Ok(reply),
        }
    }

    /// Inserts documents, `batch` of them with a command.
    fn insert(&self, from: u64, to: u64, batch: u64) -> Result<(), String> {
        for first in (from..to).step_by(batch as usize) {
            self.run("insert", |insert| {
                insert.array("documents", |rows| {
                    for at in first..to.min(first + batch) {
                        rows.document(|doc| write_document(doc, at));
                    }
                });
                insert.document("writeConcern", |concern| concern.i32("w", 1));
            })?;
        }
        Ok(())
    }

    fn create(&self, fields: &[&str]) -> Result<(), String> {
        let made = self.run("createIndexes", |create| {
            create.array("indexes", |rows| {
                for field in fields {
                    rows.document(|spec| {
                        spec.document("key", |key| key.i32(field, 1));
                        spec.str("name", &format!("{field}_1"));
                    });
                }
            });
        });
        made.map(drop)
    }
}

/// The fields that are indexed.
const FIELDS: [&str; 5] = ["number", "code", "price", "at", "count"];

fn write_document(doc: &mut DocWriter, at: u64) {
    let random = at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    doc.i64("_id", at as i64);
    doc.str("name", "a name of some length");
    doc.i32("count", (random >> 40) as i32 % 1000);
    doc.f64("price", (random >> 34) as f64 / 100.0);
    doc.i64("number", (random >> 16) as i64);
    doc.str("code", &format!("{random:016x}"));
    doc.date("at", 1_700_000_000_000 + at as i64 * 1000);
    doc.str("filler", &"x".repeat(820));
}
