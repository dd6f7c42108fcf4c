//! `validate`: checks a collection: its documents, its indexes against them, and the store's checksums. It reads one moment
//! and holds nobody up, whatever `background` says.

mod conformance;
mod entries;

use super::create::options::number;
use super::{Command, Context, Fields, Flow, Needs};
use crate::bson::{DocBuf, DocWriter, Raw, Type};
use crate::catalog::Collection;
use crate::error::{Code, Error, Result};
use crate::index::index_of;

/// Faults of one kind that a reply names at most.
const FAULTS_MAX: usize = 100;

pub(super) const COMMAND: Command = Command {
    name: "validate",
    aliases: &[],
    help: "Checks a collection's documents, indexes and checksums",
    needs: Needs::Read,
    fields: &[
        "background",
        "checkBSONConformance",
        "enforceFastCount",
        "fixMultikey",
        "full",
        "metadata",
        "repair",
        "scandata",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let asked = asked(fields)?;
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
    for index in &collection.indexes {
        if index_of(index.id, index.spec.as_doc()).is_none() {
            found.fault(format!("The specification of the index '{}' cannot be read.", index.name));
        }
    }
    if asked.metadata {
        let mut reply = DocWriter::new();
        reply.str("ns", collection.namespace.as_str());
        found.write_findings(&mut reply);
        return Ok(Flow::Reply(reply));
    }
    entries::check_documents(&run, collection, asked.conformance, &mut found)?;
    for at in 0..collection.indexes.len() {
        entries::check_index(&run, collection, at, &mut found)?;
    }
    if let Err(error) = context.shared.store.verify() {
        found.fault(error.to_string());
    }
    Ok(Flow::Reply(found.reply(collection)))
}

/// What is to be checked.
struct Asked {
    /// The catalog alone.
    metadata: bool,
    /// That documents keep to all of BSON's rules.
    conformance: bool,
}

/// Reads the options and refuses those that exclude each other. `full`, `background` and `enforceFastCount` change nothing: every check
/// reads all, beside writers, and the number of documents is counted.
///
/// # Errors
/// `InvalidOptions` (72); 'not supported' for `fixMultikey`, which would repair.
fn asked(fields: Fields<'_>) -> Result<Asked> {
    let on = |name: &str| fields.loose_bool(name).map(|on| on.unwrap_or(false));
    let (background, repair) = (on("background")?, on("repair")?);
    let conformance = on("checkBSONConformance")?;
    let (full, counts) = (on("full")?, on("enforceFastCount")?);
    let invalid = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    let fixes = fields.loose_bool("fixMultikey")?;
    for (one, is_on, other, excludes) in [
        ("background: true", background, "full: true", full),
        ("background: true", background, "enforceFastCount: true", counts),
        ("background: true", background, "repair: true", repair),
        ("enforceFastCount: true", counts, "repair: true", repair),
        ("background: true", background, "fixMultikey: true", fixes == Some(true)),
        ("fixMultikey: false", fixes == Some(false), "repair: true", repair),
        ("checkBSONConformance: true", conformance, "repair: true", repair),
    ] {
        if is_on && excludes {
            return invalid(format!(
                "Running the validate command with both {{ {one} }} and {{ {other} }} is not supported."
            ));
        }
    }
    let metadata = on("metadata")?;
    if metadata && (background || full || counts || conformance || repair) {
        let message = "Running the validate command with { metadata: true } is not supported with any other options";
        return invalid(message.to_owned());
    }
    if repair {
        let message = "Running the validate command with { repair: true } can only be performed in standalone mode.";
        return invalid(message.to_owned());
    }
    if fixes == Some(true) {
        return Err(Error::not_supported("the option 'fixMultikey' of validate"));
    }
    Ok(Asked { metadata, conformance })
}

/// What was found.
#[derive(Default)]
struct Found {
    documents: i64,
    invalid: i32,
    /// Documents that break rules which nothing here depends on.
    non_compliant: i64,
    /// Of each index in the collection's order.
    indexes: Vec<OfIndex>,
    faults: Vec<String>,
    missing: Entries,
    extra: Entries,
    corrupt: Vec<i64>,
}

/// What was found of one index.
#[derive(Default)]
struct OfIndex {
    /// Keys that the documents have.
    keys: i64,
    missing: i64,
    extra: i64,
    /// Whether a document has more than one key, which the index does not know.
    unknown_multikey: bool,
}

impl OfIndex {
    fn is_valid(&self) -> bool {
        self.missing == 0 && self.extra == 0 && !self.unknown_multikey
    }
}

/// Entries at fault: how many, and the first of them.
#[derive(Default)]
struct Entries {
    count: i64,
    rows: Vec<DocBuf>,
}

impl Entries {
    fn add(&mut self, row: impl FnOnce() -> DocBuf) {
        self.count += 1;
        if self.rows.len() < FAULTS_MAX {
            self.rows.push(row());
        }
    }
}

impl Found {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn of(&mut self, at: usize, note: impl FnOnce(&mut OfIndex)) {
        if let Some(index) = self.indexes.get_mut(at) {
            note(index);
        }
    }

    fn reply(mut self, collection: &Collection) -> DocWriter {
        let indexes: Vec<_> = collection.indexes.iter().zip(&self.indexes).collect();
        for (index, of) in indexes.iter().filter(|(_, of)| !of.is_valid()) {
            let name = &index.name;
            self.faults.push(match of.unknown_multikey {
                true => format!("Index {name} is not multikey but has more than one key in one or more document(s)"),
                false => format!("Index with name '{name}' has inconsistencies."),
            });
        }
        let mut reply = DocWriter::new();
        reply.str("ns", collection.namespace.as_str());
        reply.binary("uuid", 4, &collection.uuid);
        reply.i32("nInvalidDocuments", self.invalid);
        number(&mut reply, "nNonCompliantDocuments", self.non_compliant);
        reply.i64("nrecords", self.documents);
        reply.i32("nIndexes", collection.indexes.len() as i32);
        reply.document("keysPerIndex", |out| {
            indexes.iter().for_each(|(index, of)| out.i64(&index.name, of.keys));
        });
        reply.document("indexDetails", |out| {
            for (index, of) in &indexes {
                out.document(&index.name, |row| {
                    row.bool("valid", of.is_valid());
                    if of.missing > 0 {
                        row.i64("missingIndexEntries", of.missing);
                    }
                    if of.extra > 0 {
                        row.i64("extraIndexEntries", of.extra);
                    }
                });
            }
        });
        self.write_findings(&mut reply);
        reply
    }

    /// What every reply ends with.
    fn write_findings(&self, reply: &mut DocWriter) {
        reply.bool("valid", self.faults.is_empty());
        reply.bool("repaired", false);
        reply.array("warnings", |out| {
            for (what, entries) in [("missing", &self.missing), ("extra", &self.extra)] {
                if entries.count > 0 {
                    out.str(&format!("Detected {} {what} index entries.", entries.count));
                }
            }
            if self.non_compliant > 0 {
                out.str(&format!(
                    "Detected one or more documents in this collection not conformant to BSON specifications: {} of them.",
                    self.non_compliant
                ));
            }
        });
        reply.array("errors", |out| self.faults.iter().for_each(|fault| out.str(fault)));
        let entries = [("extraIndexEntries", &self.extra), ("missingIndexEntries", &self.missing)];
        for (name, entries) in entries {
            reply.array(name, |out| entries.rows.iter().for_each(|row| out.doc(row.as_doc())));
        }
        reply.array("corruptRecords", |out| {
            for record in &self.corrupt {
                out.raw(Raw { kind: Type::Int64, data: &record.to_le_bytes() });
            }
        });
    }
}
