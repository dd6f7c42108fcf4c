//! `validate`: checks a collection: its documents, its indexes against them, and the store's checksums.

use std::ops::Bound;

use headwater_store::Direction;

use super::{Command, Context, Flow, Needs};
use crate::bson::{self, Doc, DocWriter};
use crate::catalog::{Collection, tables};
use crate::collection::{document_key, entry_key, record_of};
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::index::keys::keys;
use crate::query::run::Run;

/// Faults that a reply names at most.
const FAULTS_MAX: usize = 100;

pub(super) const COMMAND: Command = Command {
    name: "validate",
    aliases: &[],
    help: "Checks a collection's documents, indexes and checksums",
    needs: Needs::Read,
    fields: &["background", "checkBSONConformance", "full", "metadata", "repair", "scandata"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    if fields.loose_bool("repair")?.unwrap_or(false) {
        return Err(Error::not_supported("the option 'repair' of validate"));
    }
    let full = fields.loose_bool("full")?.unwrap_or(false);
    if full && fields.loose_bool("background")?.unwrap_or(false) {
        let message = "Running the validate command with both { background: true } and { full: true } is not supported.";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let catalog = run.catalog.clone();
    catalog.refuse_view(&namespace)?;
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) else {
        let message = format!("Collection '{namespace}' does not exist to validate.");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    let mut found = Found::default();
    check_documents(&run, collection, &mut found)?;
    for index in &collection.indexes {
        check_index(&run, collection, index, &mut found)?;
    }
    if let Err(error) = context.shared.store.verify() {
        found.fault(error.to_string());
    }
    Ok(Flow::Reply(found.reply(collection)))
}

#[derive(Default)]
struct Found {
    documents: i64,
    invalid: i32,
    keys: Vec<i64>,
    faults: Vec<String>,
}

impl Found {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn reply(self, collection: &Collection) -> DocWriter {
        let mut reply = DocWriter::new();
        reply.str("ns", collection.namespace.as_str());
        reply.binary("uuid", 4, &collection.uuid);
        reply.i32("nInvalidDocuments", self.invalid);
        reply.i32("nNonCompliantDocuments", 0);
        reply.i64("nrecords", self.documents);
        reply.i32("nIndexes", collection.indexes.len() as i32);
        reply.document("keysPerIndex", |out| {
            for (index, keys) in collection.indexes.iter().zip(&self.keys) {
                out.i64(&index.name, *keys);
            }
        });
        reply.document("indexDetails", |out| {
            for index in &collection.indexes {
                let of_index = format!("index '{}'", index.name);
                let valid = !self.faults.iter().any(|fault| fault.contains(&of_index));
                out.document(&index.name, |row| row.bool("valid", valid));
            }
        });
        reply.bool("valid", self.faults.is_empty());
        reply.bool("repaired", false);
        reply.array("warnings", |_| {});
        reply.array("errors", |out| self.faults.iter().for_each(|fault| out.str(fault)));
        reply.array("extraIndexEntries", |_| {});
        reply.array("missingIndexEntries", |_| {});
        reply.array("corruptRecords", |_| {});
        reply
    }
}

/// Every document is valid BSON, and each of its keys stands in its index.
fn check_documents(run: &Run<'_>, collection: &Collection, found: &mut Found) -> Result<()> {
    let (lower, upper) = (document_key(collection.id, 0), document_key(collection.id + 1, 0));
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = run.store().range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
    found.keys = vec![0; collection.indexes.len()];
    while let Some((key, bytes)) = cursor.next()? {
        found.documents += 1;
        let record = record_of(key).unwrap_or(0);
        if let Err(error) = bson::validate_command(bytes) {
            found.invalid += 1;
            found.fault(format!("document at record {record}: {error}"));
            continue;
        }
        for (at, index) in collection.indexes.iter().enumerate() {
            let keys = keys(index, Doc::trusted(bytes))?.keys;
            if let Some(count) = found.keys.get_mut(at) {
                *count += keys.len() as i64;
            }
            for encoded in &keys {
                let entry = entry_key(index, encoded, record);
                let value = run.store().get(tables::INDEX, &entry)?;
                let held = value.map(|value| !index.unique || record_of(value) == Some(record));
                if held != Some(true) {
                    let name = &index.name;
                    found.fault(format!("index '{name}' lacks an entry of record {record}"));
                }
            }
        }
    }
    Ok(())
}

/// An index has as many entries as the documents have keys.
fn check_index(
    run: &Run<'_>,
    collection: &Collection,
    index: &Index,
    found: &mut Found,
) -> Result<()> {
    let (lower, upper) = (index.id.to_be_bytes(), (index.id + 1).to_be_bytes());
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = run.store().range(tables::INDEX, lower, upper, Direction::Forward)?;
    let mut entries = 0;
    while cursor.next()?.is_some() {
        entries += 1;
    }
    let at = collection.indexes.iter().position(|other| other.id == index.id);
    let expected = at.and_then(|at| found.keys.get(at)).copied().unwrap_or(0);
    if entries != expected {
        let name = &index.name;
        found.fault(format!("index '{name}' has {entries} entries, its documents {expected} keys"));
    }
    Ok(())
}
