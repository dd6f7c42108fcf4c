//! `$facet`: several pipelines over the same documents, their results as arrays of one document.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{bson_text, check_field_name, document_text};
use crate::aggregate::pipeline::{Context, Pipeline, Place, survey_at};
use crate::bson::{Array, DocBuf, DocWriter, Raw};
use crate::error::{Code, Error, Result};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_BYTES_SLACK, STAGE_MEMORY_BYTES_MAX};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct Facet(Vec<(Box<str>, Pipeline)>);

pub(super) fn survey(raw: Raw<'_>, db: &str, depth: usize) -> Result<()> {
    let pipelines = arguments(raw)?;
    pipelines.into_iter().try_for_each(|(_, stages)| survey_at(stages, db, depth + 1))
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let mut facets: Vec<(Box<str>, Pipeline)> = Vec::new();
    for (name, stages) in arguments(raw)? {
        let collection = context.collection.map(str::to_owned);
        let mut inner = context.inner(Place::Facet, collection.as_deref())?;
        facets.push((name.into(), Pipeline::parse(stages, &mut inner)?));
    }
    Ok(vec![Arc::new(Facet(facets))])
}

/// The pipelines by name, each an array of objects.
fn arguments(raw: Raw<'_>) -> Result<Vec<(&str, Array<'_>)>> {
    let Some(doc) = raw.as_doc().filter(|doc| !doc.is_empty()) else {
        let found = raw.as_doc().map_or_else(|| bson_text(raw), document_text);
        let what = "the $facet specification must be a non-empty object, but found: $facet: ";
        return Err(Error::location(40169, format!("{what}{found}")));
    };
    let mut pipelines = Vec::new();
    for element in doc {
        let name = element.name_str();
        check_name(name)?;
        let Some(stages) = element.value.as_array() else {
            let found = element.value.kind.alias();
            let message = format!("arguments to $facet must be arrays, {name} is type {found}");
            return Err(Error::location(40170, message));
        };
        for (at, stage) in stages.iter().enumerate() {
            if stage.as_doc().is_none() {
                let what = "elements of arrays in $facet spec must be non-empty objects,";
                let (found, shown) = (stage.kind.alias(), bson_text(stage));
                let message = format!(
                    "{what} {name} argument contained an element of type {found}: {at}: {shown}"
                );
                return Err(Error::location(40171, message));
            }
        }
        pipelines.push((name, stages));
    }
    Ok(pipelines)
}

fn check_name(name: &str) -> Result<()> {
    check_field_name(name).map_err(|error| {
        let (_, message) = error.message().split_once(" :: caused by :: ").unwrap_or(("", error.message()));
        let what = "$facet pipeline names must follow the naming rules of field path expressions. :: caused by :: ";
        Error::new(error.code(), format!("{what}{message}"))
    })
}

impl StageSpec for Facet {
    fn name(&self) -> &'static str {
        "$facet"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Faceting { spec: self, source: Some(source) })
    }
}

struct Faceting {
    spec: Arc<Facet>,
    source: Option<Box<dyn Stage>>,
}

impl Stage for Faceting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let Some(mut source) = self.source.take() else { return Ok(None) };
        let mut docs = Vec::new();
        let mut bytes = 0;
        while let Some(doc) = source.next(env)? {
            bytes += doc.as_doc().as_bytes().len() + size_of::<DocBuf>();
            if bytes > STAGE_MEMORY_BYTES_MAX {
                let message =
                    "$facet keeps more than 100 megabytes of documents, which is the limit";
                return Err(Error::new(Code(292), message));
            }
            docs.push(doc);
        }
        let docs: Arc<[DocBuf]> = docs.into();
        let mut result = DocWriter::new();
        for (name, pipeline) in &self.spec.0 {
            let mut run = pipeline.build(Box::new(Buffered { docs: Arc::clone(&docs), at: 0 }));
            result.array(name, |array| {
                while let Some(doc) = run.next(env)? {
                    array.doc(doc.as_doc());
                    if array.len() > DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_SLACK {
                        let message = "document constructed by $facet is larger than 16 megabytes, which is the limit";
                        return Err(Error::location(4_031_700, message));
                    }
                }
                Ok(())
            })?;
        }
        if result.len() > DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_SLACK {
            let message =
                "document constructed by $facet is larger than 16 megabytes, which is the limit";
            return Err(Error::location(4_031_700, message));
        }
        Ok(Some(result.finish()))
    }
}

/// Documents that several runs share.
struct Buffered {
    docs: Arc<[DocBuf]>,
    at: usize,
}

impl Stage for Buffered {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        let doc = self.docs.get(self.at).cloned();
        self.at += 1;
        Ok(doc)
    }
}
