//! `$collStats`: one document of a collection's figures. There are no figures of latencies and plans: asking for them is
//! refused.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::expressions::document_text;
use crate::aggregate::pipeline::{Context, expect, unknown_field};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};
use crate::sizes::{Sizes, scale};
use crate::status::host_name;

const NAME: &str = "$collStats";

#[derive(Debug)]
struct CollStats {
    db: Box<str>,
    collection: Box<str>,
    /// The scale of `storageStats`, if it is asked for.
    storage: Option<i64>,
    count: bool,
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = crate::aggregate::expressions::bson_text(raw);
        let message = format!("{NAME} must take a nested object but found: {NAME}: {found}");
        return Err(Error::location(5_447_000, message));
    };
    let mut spec = CollStats {
        db: context.db.into(),
        collection: context.collection.unwrap_or_default().into(),
        storage: None,
        count: false,
    };
    let mut refused = None;
    for element in doc {
        let (name, value) = (element.name_str(), element.value);
        if !matches!(name, "count" | "latencyStats" | "queryExecStats" | "storageStats") {
            return Err(unknown_field(NAME, name));
        }
        expect(value, Type::Document, NAME, name)?;
        let inner = value.as_doc().unwrap_or(Doc::EMPTY);
        match name {
            "storageStats" => {
                spec.storage = Some(scale(inner.get("scale"), "$collStats.storageStats.scale")?);
            }
            "latencyStats" => check_latency(inner)?,
            _ => check_empty(inner)?,
        }
        spec.count |= name == "count";
        if matches!(name, "latencyStats" | "queryExecStats") {
            refused.get_or_insert(name);
        }
    }
    match refused {
        Some(name) => Err(Error::not_supported(format_args!("the option '{name}' of {NAME}"))),
        None => Ok(vec![Arc::new(spec)]),
    }
}

fn check_empty(doc: Doc<'_>) -> Result<()> {
    if doc.is_empty() {
        return Ok(());
    }
    let message = format!("expected an empty object, but got {}", document_text(doc));
    Err(Error::location(31170, message))
}

fn check_latency(doc: Doc<'_>) -> Result<()> {
    for element in doc {
        match (element.name, element.value.kind) {
            (b"histograms", Type::Bool) => {}
            (b"histograms", found) => {
                let found = found.alias();
                let message =
                    format!("Field 'histograms' should be a boolean value, but found: {found}");
                return Err(Error::new(Code::TYPE_MISMATCH, message));
            }
            _ => return Err(unknown_field("$collStats.latencyStats", element.name_str())),
        }
    }
    Ok(())
}

impl StageSpec for CollStats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Giving(Some(self)))
    }

    fn is_source(&self) -> bool {
        true
    }
}

impl CollStats {
    fn sizes(&self, env: &dyn Environment, what: &str) -> Result<Sizes> {
        let (db, collection) = (&*self.db, &*self.collection);
        env.sizes(db, collection)?.ok_or_else(|| {
            let message = format!(
                "Unable to retrieve {what} in $collStats stage :: caused by :: Collection [{db}.{collection}] not found."
            );
            Error::new(Code::NAMESPACE_NOT_FOUND, message)
        })
    }

    fn write(&self, env: &dyn Environment) -> Result<DocBuf> {
        let mut out = DocWriter::new();
        out.str("ns", &format!("{}.{}", self.db, self.collection));
        out.str("host", &host_name());
        out.date("localTime", now_ms());
        if let Some(scale) = self.storage {
            let sizes = self.sizes(env, "storageStats")?;
            out.document("storageStats", |out| sizes.write(out, scale));
        }
        if self.count {
            let documents = self.sizes(env, "count")?.documents;
            match i32::try_from(documents) {
                Ok(documents) => out.i32("count", documents),
                Err(_) => out.i64("count", documents),
            }
        }
        Ok(out.finish())
    }
}

struct Giving(Option<Arc<CollStats>>);

impl Stage for Giving {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        self.0.take().map(|spec| spec.write(env)).transpose()
    }
}
