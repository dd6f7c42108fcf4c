//! `$out`: the pipeline's documents take the place of a collection. Here is what it asks for; the command writes.

use std::sync::Arc;

use super::{Parsed, StageSpec, Writes};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::{Doc, DocBuf, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::exec::Stage;

/// Where the documents go.
#[derive(Debug)]
pub struct Out {
    /// The collection that they replace or make.
    pub target: Namespace,
    /// The options of the time series that they make.
    pub time_series: Option<DocBuf>,
}

/// Databases that a server keeps for itself.
pub(super) const INTERNAL: [&str; 3] = ["admin", "config", "local"];

pub(super) fn survey(raw: Raw<'_>, db: &str) -> Result<()> {
    written(raw, db).map(drop)
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let out = written(raw, context.db)?;
    check_target(&out.target)?;
    Ok(vec![Arc::new(out)])
}

fn written(raw: Raw<'_>, db: &str) -> Result<Out> {
    match (raw.as_str(), raw.as_doc()) {
        (Some(name), _) => Ok(Out { target: target(db, name)?, time_series: None }),
        (_, Some(doc)) => from_document(doc),
        _ => {
            let kind = raw.kind.alias();
            let message =
                format!("$out only supports a string or object argument, but found {kind}");
            Err(Error::location(16990, message))
        }
    }
}

fn from_document(doc: Doc<'_>) -> Result<Out> {
    let (mut db, mut collection, mut time_series) = (None, None, None);
    for element in doc {
        let (name, value) = (element.name_str(), element.value);
        match name {
            "db" | "coll" => {
                expect(value, Type::String, "$out", name)?;
                let place = if name == "db" { &mut db } else { &mut collection };
                *place = value.as_str();
            }
            "timeseries" => {
                expect(value, Type::Document, "$out", name)?;
                time_series = value.as_doc();
                time_series.map_or(Ok(()), check_time_series)?;
            }
            _ => return Err(unknown_field("$out", name)),
        }
    }
    let collection = collection.ok_or_else(|| missing_field("$out", "coll"))?;
    let db = db.ok_or_else(|| missing_field("$out", "db"))?;
    Ok(Out { target: target(db, collection)?, time_series: time_series.map(Doc::to_buf) })
}

fn check_time_series(options: Doc<'_>) -> Result<()> {
    const STAGE: &str = "$out.timeseries";
    for element in options {
        let (name, value) = (element.name_str(), element.value);
        match name {
            "timeField" | "metaField" => expect(value, Type::String, STAGE, name)?,
            "granularity" => {
                expect(value, Type::String, STAGE, name)?;
                if let Some(given) = value.as_str()
                    && !matches!(given, "seconds" | "minutes" | "hours")
                {
                    let message = format!(
                        "Enumeration value '{given}' for field '{STAGE}.granularity' is not a valid value."
                    );
                    return Err(Error::new(Code::BAD_VALUE, message));
                }
            }
            "bucketMaxSpanSeconds" | "bucketRoundingSeconds" => {}
            _ => return Err(unknown_field(STAGE, name)),
        }
    }
    options.get("timeField").map(drop).ok_or_else(|| missing_field(STAGE, "timeField"))
}

fn target(db: &str, collection: &str) -> Result<Namespace> {
    check_collection(collection)?;
    let namespace = Namespace::new(db, collection);
    if collection.is_empty() || db.is_empty() || db.contains('.') {
        let shown = namespace.as_str().trim_end_matches('.');
        let message = format!("Invalid $out target namespace, {shown}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    Ok(namespace)
}

/// Refuses what a server keeps for itself.
fn check_target(target: &Namespace) -> Result<()> {
    let (db, collection) = (target.db(), target.collection());
    if collection.starts_with("system.") {
        let message = format!("Can't $out to special collection: {collection}");
        return Err(Error::location(17385, message));
    }
    if INTERNAL.contains(&db) {
        let message = format!("Can't $out to internal database: {db}");
        return Err(Error::location(31321, message));
    }
    Ok(())
}

/// Refuses what no namespace may hold; other rules are looked at when the collection is made.
///
/// # Errors
/// `InvalidNamespace` (73).
pub(super) fn check_collection(name: &str) -> Result<()> {
    let message = if name.contains('\0') {
        "namespaces cannot have embedded null characters".to_owned()
    } else if name.starts_with('.') {
        format!("Collection names cannot start with '.': {name}")
    } else {
        return Ok(());
    };
    Err(Error::new(Code::INVALID_NAMESPACE, message))
}

impl StageSpec for Out {
    fn name(&self) -> &'static str {
        "$out"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        source
    }

    fn writes(&self) -> Option<Writes<'_>> {
        Some(Writes::Out(self))
    }
}
