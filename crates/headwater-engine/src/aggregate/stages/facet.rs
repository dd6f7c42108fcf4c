//! `$facet`: several pipelines over the same documents, their results as arrays of one document.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{bson_text, check_field_name, document_text};
use crate::aggregate::pipeline::{Context, Pipeline, Place, survey_at};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw};
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Flow, Look, Stage};
use crate::query::sequence::{Chunk, Sequence};

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
        let bytes_max = env.stage_bytes_max();
        let mut docs = Sequence::new(bytes_max, env.spill_folder());
        source.each(env, &mut |doc| {
            docs.push(doc.to_buf())?;
            if docs.is_too_large() {
                let message = format!(
                    "$facet keeps more than {bytes_max} bytes of documents, but didn't allow external spilling. Pass allowDiskUse:true to opt in."
                );
                return Err(Error::new(Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED, message));
            }
            Ok(())
        })?;
        let docs = Arc::new(docs);
        let mut result = DocWriter::new();
        for (name, pipeline) in &self.spec.0 {
            let shared = Buffered { docs: Arc::clone(&docs), chunk: Chunk::default(), at: 0 };
            let mut run = pipeline.build(Box::new(shared));
            result.array(name, |array| {
                run.each(env, &mut |doc| {
                    array.doc(doc);
                    check_size(array.len())
                })
            })?;
        }
        check_size(result.len())?;
        Ok(Some(result.finish()))
    }
}

/// Checks that the arrays do not take more memory than a stage may.
fn check_size(bytes: usize) -> Result<()> {
    if bytes <= STAGE_MEMORY_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "document constructed by $facet is {bytes} bytes, which exceeds the limit of {STAGE_MEMORY_BYTES_MAX} bytes"
    );
    Err(Error::new(Code::EXCEEDED_MEMORY_LIMIT, message))
}

/// Documents that several runs share.
struct Buffered {
    docs: Arc<Sequence>,
    chunk: Chunk,
    at: usize,
}

impl Stage for Buffered {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        let doc = self.docs.get(self.at, &mut self.chunk)?.map(Doc::to_buf);
        self.at += 1;
        Ok(doc)
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        while let Some(doc) = self.docs.get(self.at, &mut self.chunk)? {
            env.check()?;
            self.at += 1;
            if show(doc)? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }
}
