//! `$unionWith`: the documents of another pipeline behind those of this one.

use std::sync::Arc;

use super::lookup::{Empty, open};
use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::{
    Context, OPTIMIZING, Pipeline, Place, check_objects, expect, survey_at, unknown_field,
};
use crate::bson::{Array, Doc, DocBuf, Raw, Type};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct UnionWith {
    order: ValueOrder,
    db: Box<str>,
    collection: Option<Box<str>>,
    pipeline: Pipeline,
}

pub(super) fn survey(raw: Raw<'_>, db: &str, depth: usize) -> Result<()> {
    arguments(raw)?.1.map_or(Ok(()), |stages| survey_at(stages, db, depth + 1))
}

/// The collection and the pipeline.
fn arguments(raw: Raw<'_>) -> Result<(Option<&str>, Option<Array<'_>>)> {
    let (mut collection, mut stages) = (None, None);
    match raw.kind {
        Type::String => collection = raw.as_str(),
        Type::Document => {
            for element in raw.as_doc().into_iter().flatten() {
                match element.name {
                    b"coll" => {
                        expect(element.value, Type::String, "$unionWith", "coll")?;
                        collection = element.value.as_str();
                    }
                    b"pipeline" => {
                        let message = "A pipeline must be an array of objects";
                        let wrong = || Error::new(Code::TYPE_MISMATCH, message);
                        stages = Some(element.value.as_array().ok_or_else(wrong)?);
                    }
                    _ => return Err(unknown_field("$unionWith", element.name_str())),
                }
            }
        }
        kind => {
            let what = "the $unionWith stage specification must be an object or string, but found ";
            return Err(Error::new(Code::FAILED_TO_PARSE, format!("{what}{}", kind.alias())));
        }
    }
    stages.map_or(Ok(()), check_objects)?;
    if collection.is_none() && !begins_with_documents(stages) {
        let message = "$unionWith stage without explicit collection must have a pipeline with $documents as first stage";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    Ok((collection, stages))
}

/// Whether a pipeline brings its documents along.
pub(super) fn begins_with_documents(stages: Option<Array<'_>>) -> bool {
    let first = stages.and_then(|stages| stages.get(0)).and_then(Raw::as_doc).and_then(Doc::first);
    first.is_some_and(|first| first.name == b"$documents")
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let db: Box<str> = context.db.into();
    let (collection, stages) = arguments(raw)?;
    if collection == Some("") {
        // The space that is missing is missing in MongoDB.
        let message = format!("Namespace {db}is not a valid collection name");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let order = context.scope.order().clone();
    let mut inner = context.inner(Place::UnionWith, collection)?;
    let pipeline = match stages {
        Some(stages) => Pipeline::parse(stages, &mut inner).map_err(|error| {
            // What evaluating constants raises is told of this pipeline and of the one around it.
            match error.message().starts_with(OPTIMIZING) {
                true => error.with_prefix(OPTIMIZING),
                false => error,
            }
        })?,
        None => Pipeline::default(),
    };
    Ok(vec![Arc::new(UnionWith { order, db, collection: collection.map(Into::into), pipeline })])
}

impl StageSpec for UnionWith {
    fn name(&self) -> &'static str {
        "$unionWith"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Uniting { spec: self, source, second: false })
    }
}

struct Uniting {
    spec: Arc<UnionWith>,
    source: Box<dyn Stage>,
    second: bool,
}

impl Stage for Uniting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        loop {
            if let Some(doc) = self.source.next(env)? {
                return Ok(Some(doc));
            }
            if self.second {
                return Ok(None);
            }
            self.second = true;
            self.source = match &self.spec.collection {
                Some(collection) => {
                    open(env, &self.spec.db, collection, &self.spec.pipeline, &self.spec.order)?
                }
                None => self.spec.pipeline.build(Box::new(Empty)),
            };
        }
    }
}
